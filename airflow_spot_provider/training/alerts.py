"""Alerts while a job runs: when somebody wants to be told, and what is to be called then."""

from __future__ import annotations

import inspect
import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_spot_provider.training.due_alerts import When, context_names
from airflow_spot_provider.training.exceptions import InvalidSpotRequest

MOST_INTERRUPTIONS = 1_000
RESERVED = "context"
"""What is known of the job goes to whatever is called under this name."""
_DAG_FILE_MODULES = ("__main__", "unusual_prefix_")
"""What a DAG file is called where it is parsed: no other process can import it by that."""


@dataclass(frozen=True)
class SpotAlert:
    """Have something called while a training job runs, once for each condition that comes true.

    It is called in the triggerer, with what is known of the job as ``context``: ``dag_id``, ``run_id``, ``task_id``, ``map_index``,
    ``job_name``, ``alert`` (which condition), ``message`` (one sentence that says it all), ``max_wait_left``, ``task_url`` and the
    members of :class:`~airflow_spot_provider.training.SpotProgress`.

    :param notify: what to call: a notifier's class (``SlackWebhookNotifier``), a function, a coroutine function, the import path of
        one of these, or Airflow's ``AsyncCallback``. The triggerer must be able to import it: a module in the plugins folder or an
        installed package, not the DAG file.
    :param interruptions: when the job has been interrupted so many times.
    :param max_wait_share: when so much of MaxWait is used and the job has not ended, such as 0.8.
    :param stale_checkpoint: when the newest checkpoint is older than it should be; the task needs ``checkpoint_interval``.
    :param kwargs: arguments of what is called, plain JSON. Texts are Jinja templates over the context, as in
        ``"{{ job_name }} was interrupted {{ interruptions }} times"``. They are kept in Airflow's database: put connection ids
        there, and no secrets.
    :raises InvalidSpotRequest: there is no condition, one cannot come true, or what is to be called cannot be.
    """

    notify: Any
    interruptions: int | None = None
    max_wait_share: float | None = None
    stale_checkpoint: bool = False
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = list(self._problems())
        kwargs = dict(self.kwargs) if isinstance(self.kwargs, Mapping) else {}
        # Airflow's own callbacks bring their arguments; a class or a function has none yet.
        brought = None if hasattr(self.notify, "__qualname__") else getattr(self.notify, "kwargs", None)
        if isinstance(brought, Mapping):
            if kwargs:
                problems.append("kwargs are given twice, here and with the callback; leave one of them out.")
            kwargs = dict(brought)
        path = ""
        try:
            path = importable_path(self.notify)
        except ValueError as error:
            problems.append(str(error))
        else:
            problems += _argument_problems(path, kwargs)
        if problems:
            raise InvalidSpotRequest([f"SpotAlert: {problem}" for problem in problems])
        # Plain values, that are the same each time the DAG file is parsed: Airflow stores them with the DAG.
        object.__setattr__(self, "notify", path)
        object.__setattr__(self, "kwargs", kwargs)

    def _problems(self) -> Iterator[str]:
        # What a DAG file gives may be of any type.
        given: dict[str, Any] = vars(self)
        count, share = given["interruptions"], given["max_wait_share"]
        stale, kwargs = given["stale_checkpoint"], given["kwargs"]
        if count is None and share is None and stale is False:
            yield "it waits for nothing; give interruptions=, max_wait_share= or stale_checkpoint=True."
        if count is not None and (type(count) is not int or not 1 <= count <= MOST_INTERRUPTIONS):
            yield f"interruptions is {count!r}; it takes a whole number from 1 to {MOST_INTERRUPTIONS:,}."
        if share is not None and (
            isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1
        ):
            yield f"max_wait_share is {share!r}; it takes a number between 0 and 1, such as 0.8 for four fifths of MaxWait."
        if not isinstance(stale, bool):
            yield f"stale_checkpoint is {stale!r}; it takes True or False."
        if not isinstance(kwargs, Mapping):
            yield f"kwargs is of type {type(kwargs).__name__}; it takes a dict of arguments."

    def conditions(self) -> Iterator[dict[str, Any]]:
        """One entry for each condition: ``when``, ``than`` (how much), ``path``, ``kwargs``; plain JSON."""
        for when in When:
            than = getattr(self, when.value)
            if than is not None and than is not False:
                yield {"when": when.value, "than": than, "path": self.notify, "kwargs": dict(self.kwargs)}


def checked_alerts(alerts: object, *, looks_at_checkpoints: bool) -> list[dict[str, Any]]:
    """The conditions of all alerts, as a trigger takes them.

    :param looks_at_checkpoints: whether the task has a ``checkpoint_interval``.
    :raises InvalidSpotRequest: they are no alerts, or one waits for what nobody looks at.
    """
    if isinstance(alerts, SpotAlert) or not isinstance(alerts, Sequence) or isinstance(alerts, str):
        raise InvalidSpotRequest(
            [f"alerts is of type {type(alerts).__name__}; it takes a list of SpotAlert."]
        )
    for alert in alerts:
        if not isinstance(alert, SpotAlert):
            raise InvalidSpotRequest(
                [f"alerts holds a {type(alert).__name__}; it takes a list of SpotAlert."]
            )
        if alert.stale_checkpoint and not looks_at_checkpoints:
            raise InvalidSpotRequest(
                [
                    (
                        "An alert waits for a stale checkpoint, and nobody looks at checkpoints: pass checkpoint_interval=, how "
                        "often the script is expected to write one."
                    )
                ]
            )
    return [condition for alert in alerts for condition in alert.conditions()]


def importable_path(notify: object, *, argument: str = "notify") -> str:
    """By which path another process can import what is to be called.

    :param argument: what it was given as.
    :raises ValueError: it cannot; the message says what to do.
    """
    if isinstance(notify, str):
        path = notify
    elif (name := getattr(notify, "__qualname__", None)) is not None:
        path = f"{getattr(notify, '__module__', None)}.{name}"
    elif isinstance(given := getattr(notify, "path", None), str):
        path = given  # one of Airflow's own callbacks
    else:
        raise ValueError(
            f"{argument} is an object of type {type(notify).__name__}; it takes a notifier's class, a function, or the import path of "
            "one, with the arguments in kwargs."
        )
    if path.startswith(_DAG_FILE_MODULES) or "<" in path:
        raise ValueError(
            f"{argument} is {path}, which the triggerer cannot import; move it to the top level of a module that it can: in the "
            "plugins folder, or in an installed package."
        )
    try:
        found = pkgutil.resolve_name(path)
    except Exception as error:
        raise ValueError(
            f"{argument} is {path!r}, which cannot be imported ({type(error).__name__}: {error}); it takes package.module.name, "
            "and has to be installed here and where it is called."
        ) from error
    if not callable(found):
        raise ValueError(
            f"{argument} is {path!r}, which is of type {type(found).__name__} and cannot be called."
        )
    return path


def takes_context(target: Callable[..., Any]) -> bool:
    """Whether a callable has an argument for what is known of the job: one called ``context``."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except ValueError:
        return False  # something built in, which does not tell what it takes
    return any(
        each.kind is inspect.Parameter.VAR_KEYWORD
        or (each.name == RESERVED and each.kind is not inspect.Parameter.POSITIONAL_ONLY)
        for each in parameters
    )


def why_not_taken(target: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    """Why a callable does not take some arguments; None if it does, or does not tell."""
    try:
        signature = inspect.signature(target)
    except ValueError:
        return None  # something built in
    try:
        signature.bind(**arguments)
        kinds = {each.kind for each in signature.parameters.values()}
        if isinstance(target, type) and inspect.Parameter.VAR_KEYWORD in kinds:
            _construct(
                target, arguments
            )  # Airflow's notifiers pass on what they do not know, down to a base that refuses it
    except TypeError as error:
        return str(error)
    return None


def _construct(target: type, arguments: Mapping[str, Any]) -> None:
    try:
        target(**arguments)
    except TypeError:
        raise
    except Exception:  # noqa: BLE001 - about the values, which may be good where and when it is called
        return


def _argument_problems(path: str, kwargs: Mapping[str, Any]) -> Iterator[str]:
    if RESERVED in kwargs:
        yield f"kwargs holds {RESERVED!r}, which is the name of what is known of the job; take it out."
        return
    try:
        same = json.loads(json.dumps(kwargs, allow_nan=False)) == _lists_for_tuples(kwargs)
    except (TypeError, ValueError):
        same = False
    if not same:
        yield (
            "kwargs is not plain JSON; it takes text, numbers, True, False, None, and lists and dicts of them. Pass a "
            "connection id instead of an object."
        )
        return
    target = pkgutil.resolve_name(path)
    extra = {RESERVED: None} if not isinstance(target, type) and takes_context(target) else {}
    if why := why_not_taken(target, {**kwargs, **extra}):
        yield f"{path} does not take these kwargs: {why}."
        return
    yield from _template_problems(kwargs)


def _template_problems(kwargs: Mapping[str, Any]) -> Iterator[str]:
    """A name that is misspelt would be found when the alert is due, which may be never before it is needed."""
    from jinja2 import TemplateSyntaxError, meta
    from jinja2.sandbox import SandboxedEnvironment

    known, environment = context_names(), SandboxedEnvironment()
    for text in texts_in(kwargs):
        try:
            names = meta.find_undeclared_variables(environment.parse(text)) - set(environment.globals)
        except TemplateSyntaxError as error:
            yield f"{text!r} is no Jinja template: {str(error).rstrip('.')}."
            continue
        if unknown := sorted(names - known):
            yield f"{text!r} has {', '.join(unknown)}, which an alert does not know; it knows {', '.join(sorted(known))}."


def texts_in(part: object) -> Iterator[str]:
    """All texts in an argument, wherever they are: Airflow takes each for a template."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, Mapping):
        for value in part.values():
            yield from texts_in(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from texts_in(value)


def _lists_for_tuples(part: object) -> object:
    if isinstance(part, Mapping):
        return {key: _lists_for_tuples(value) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_lists_for_tuples(value) for value in part]
    return part
