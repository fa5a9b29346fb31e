"""The notifier that tells how a training went, by any other notifier: Slack, SNS, e-mail."""

from __future__ import annotations

import asyncio
import html
import inspect
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import jinja2

from airflow_spot_provider._compat.sdk import BaseNotifier
from airflow_spot_provider.links.sagemaker import SageMakerTrainingJobLink, SageMakerTuningJobLink
from airflow_spot_provider.notifications._published import Told, told_by_run, told_by_task
from airflow_spot_provider.training import InvalidSpotRequest
from airflow_spot_provider.training.alerts import importable_path, texts_in, why_not_taken

if TYPE_CHECKING:
    from airflow.sdk import Context

TEXT_FIELDS = ("text", "message", "html_content", "body", "content")
"""What other notifiers call what they send, in this order; ``text_field`` says it of others."""


class SpotOutcomeNotifier(BaseNotifier):
    """Tell how a training went, by another notifier.

    .. code-block:: python

        on_success_callback = SpotOutcomeNotifier(SlackWebhookNotifier, slack_webhook_conn_id="slack")

    It is for ``on_success_callback``, ``on_failure_callback`` and ``on_skipped_callback`` of a task whose job is on spot, and of
    a DAG, where it sums over all such tasks of the run. It reads what the tasks have published; what is missing, it says.

    :param notifier: class of the notifier that sends the message, or its import path.
    :param text_field: the argument of it that takes the message; None takes the first that it has of ``text``, ``message``,
        ``html_content``, ``body`` and ``content``.
    :param message: a Jinja template instead of the message; it may use Airflow's context and what the task published, such as
        ``{{ outcome }}``, ``{{ savings_percent }}``, ``{{ money }}``, ``{{ interruptions }}``, ``{{ model_artifacts }}``,
        ``{{ console_url }}``, and ``{{ default_message }}``. Values are escaped where the argument's name has ``html`` in it.
    :param kwargs: arguments of the other notifier; texts are templates as well. Where it takes a ``subject`` and none is given,
        the subject tells the outcome and the savings.
    :raises InvalidSpotRequest: at DAG parse: it is no notifier's class, or does not take these arguments.
    """

    def __init__(
        self,
        notifier: type[BaseNotifier] | str,
        *,
        text_field: str | None = None,
        message: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__()
        self.notifier = _checked_class(notifier)
        parameters = inspect.signature(self.notifier).parameters
        self.text_field = _checked_field(self.notifier, parameters, text_field)
        self.message = message
        self.kwargs = kwargs
        self._gives_subject = "subject" in parameters and "subject" not in kwargs
        if self.text_field in kwargs:
            raise InvalidSpotRequest(
                [
                    f"{self.text_field} is given, and is what takes the message; pass message= to write another."
                ]
            )
        given = {**kwargs, self.text_field: "", **({"subject": ""} if self._gives_subject else {})}
        if why := why_not_taken(self.notifier, given):
            raise InvalidSpotRequest([f"{self.notifier.__name__} does not take these arguments: {why}."])
        if message is not None and not isinstance(message, str):
            raise InvalidSpotRequest([f"message is {message!r}; it takes a Jinja template."])
        _check_templates({**kwargs, "message": message})

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """There are none: what is a template is rendered with what the task has published, when that is known."""

    def notify(self, context: Context) -> None:
        """Send the message."""
        told = told_by_run(context) if "reason" in context else told_by_task(context)
        known = self._known(told)
        dag: Any = context.get("dag")
        # With the DAG's own filters, where it is not one that was read back from the database (``dag.test()``).
        environment = self.get_template_env(dag=dag if hasattr(dag, "get_template_env") else None)
        values = {**context, **known}
        # Rendered here, once: what a job's failure reason says must not be taken for a template by the other notifier.
        arguments = self.render_template(self.kwargs, values, environment)  # type: ignore[arg-type]
        arguments[self.text_field] = self._text(known, values, environment)
        if self._gives_subject:
            arguments["subject"] = told.subject
        notifier: Any = self.notifier(**arguments)
        if self.notifier.notify is BaseNotifier.notify:
            asyncio.run(notifier.async_notify(values))  # one that can only be awaited
        else:
            notifier.notify(values)

    def _text(self, known: dict[str, Any], values: dict[str, Any], environment: jinja2.Environment) -> str:
        is_html = "html" in self.text_field
        text: str = known["default_message"]
        if self.message is not None:
            try:
                return environment.overlay(autoescape=is_html).from_string(self.message).render(values)
            except Exception as error:  # noqa: BLE001 - a job that failed lacks what a template takes for granted
                text += f"\nmessage= cannot be rendered with what is known ({type(error).__name__}: {error})."
        return html.escape(text).replace("\n", "<br>\n") if is_html else text

    @staticmethod
    def _known(told: Told) -> dict[str, Any]:
        console_url = _console_url(told)
        lines = [*told.lines, *([f"Console: {console_url}"] if console_url else ())]
        return {**told.values, "console_url": console_url, "default_message": "\n".join(lines)}


def _checked_class(notifier: object) -> type[BaseNotifier]:
    try:
        found = (
            pkgutil.resolve_name(importable_path(notifier, argument="notifier"))
            if isinstance(notifier, str)
            else notifier
        )
    except ValueError as error:
        raise InvalidSpotRequest([f"SpotOutcomeNotifier: {error}"]) from error
    if not (isinstance(found, type) and issubclass(found, BaseNotifier)):
        raise InvalidSpotRequest(
            [
                (
                    f"SpotOutcomeNotifier: notifier is {notifier!r}; it takes a notifier's class, such as SnsNotifier, and the class's "
                    "arguments after it."
                )
            ]
        )
    return found


def _checked_field(notifier: type[BaseNotifier], parameters: Any, text_field: str | None) -> str:
    takes_any = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())
    if text_field is None:
        for name in TEXT_FIELDS:
            if name in parameters:
                return name
    elif text_field in parameters or takes_any:
        return text_field
    raise InvalidSpotRequest(
        [
            (
                f"{notifier.__name__} has no argument {text_field or 'that is known to take a message'}; pass text_field=, one of "
                f"{', '.join(name for name in parameters if name != 'kwargs')}."
            )
        ]
    )


def _check_templates(arguments: Mapping[str, Any]) -> None:
    for name, argument in arguments.items():
        for text in texts_in(argument):
            try:
                jinja2.Environment(autoescape=True).parse(text)
            except jinja2.TemplateSyntaxError as error:
                raise InvalidSpotRequest(
                    [f"{name} is no Jinja template: {str(error).rstrip('.')}."]
                ) from error


def _console_url(told: Told) -> str | None:
    progress = told.progress
    if progress is None or not progress.region or not progress.job_name:
        return None
    link = SageMakerTuningJobLink() if progress.kind == "tuning" else SageMakerTrainingJobLink()
    region = progress.region
    partition = (
        "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"
    )
    return link.format_link(
        region_name=region, aws_domain=link.get_aws_domain(partition), job_name=progress.job_name
    )
