"""The errors that AWS answers with, and what makes a job fail."""

from __future__ import annotations

from moto.core.exceptions import ServiceException


class ValidationException(ServiceException):
    """What SageMaker says to a request that it does not take."""

    code = "ValidationException"


class ResourceInUse(ServiceException):
    """What SageMaker says when a name is taken, or a job still runs."""

    code = "ResourceInUse"


class ResourceNotFound(ServiceException):
    """What SageMaker says when something named in a request is not there."""

    code = "ResourceNotFound"


class ResourceLimitExceeded(ServiceException):
    """What SageMaker says when a quota is passed."""

    code = "ResourceLimitExceeded"


class NotAvailableInRegion(ServiceException):
    """What SageMaker says where a region has no such instances; its code is that of a quota, and no wait is of any use."""

    code = "ResourceLimitExceeded"


class AccessDenied(ServiceException):
    """What AWS says when no policy allows a call."""

    code = "AccessDeniedException"


class UnknownOperation(ServiceException):
    """What AWS says to an operation that is not there."""

    code = "UnknownOperationException"


class SerializationException(ServiceException):
    """What AWS says to a body that is no JSON."""

    code = "SerializationException"


class RequestTooLarge(ServiceException):
    """What AWS says to a body that is longer than any request is."""

    code = "RequestEntityTooLargeException"


class InternalFailure(ServiceException):
    """What AWS says when it is at fault itself."""

    code = "InternalFailure"


class TrainingProblem(Exception):
    """Something of the user's with which a job cannot go on; the message is its FailureReason."""


def denied(operation: str, arn: str, account_id: str) -> AccessDenied:
    """What IAM says of a call on a SageMaker resource that no policy allows."""
    action, caller = f"sagemaker:{operation}", f"arn:aws:iam::{account_id}:user/emulator"
    return AccessDenied(
        f"User: {caller} is not authorized to perform: {action} on resource: {arn} because no identity-based policy allows the {action} action"
    )


def not_found() -> ValidationException:
    """What SageMaker says to a name that it does not know."""
    return ValidationException("Requested resource not found.")
