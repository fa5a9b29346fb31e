"""The errors that SageMaker answers with."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ValidationException(ServiceException):
    """What SageMaker says to a request that it does not take."""

    code = "ValidationException"


class ResourceInUse(ServiceException):
    """What SageMaker says when a name is taken."""

    code = "ResourceInUse"


def not_found() -> ValidationException:
    """DescribeTrainingJob's answer for a name that it does not know."""
    return ValidationException("Requested resource not found.")
