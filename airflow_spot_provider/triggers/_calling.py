"""Call a notifier or a function of the user's from the triggerer, without ever standing in the way of its event loop."""

from __future__ import annotations

import asyncio
import inspect
import pkgutil
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from jinja2.sandbox import SandboxedEnvironment

from airflow_spot_provider._compat.sdk import BaseNotifier
from airflow_spot_provider.training.alerts import RESERVED, takes_context

AT_ONCE = 4
"""Calls under way at the same time in one process: a fan-out's alerts come in crowds."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def call(path: str, kwargs: Mapping[str, Any], context: Mapping[str, Any], *, seconds: float) -> None:
    """Call what is found at a path, when it is its turn.

    :param path: of a notifier's class, a function or a coroutine function.
    :param kwargs: its arguments; texts in them are templates.
    :param context: what it may know.
    :param seconds: how long it may take once it is its turn.
    :raises TimeoutError: it took longer. What blocks a thread goes on blocking that one, which nobody waits for.
    :raises Exception: whatever it raises.
    """
    turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
    async with turns:
        try:
            async with asyncio.timeout(seconds) as limit:
                await _call(path, kwargs, context)
        except TimeoutError as error:
            if limit.expired():
                raise TimeoutError(f"it took more than {seconds:.0f} s") from error
            raise


async def _call(path: str, kwargs: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    # What is imported for the first time may take a while.
    target = await _in_a_thread(pkgutil.resolve_name, path)
    if isinstance(target, type) and issubclass(target, BaseNotifier):
        await _notify(target, kwargs, context)
        return
    arguments = await _in_a_thread(rendered, kwargs, context)
    if takes_context(target):
        arguments[RESERVED] = dict(context)
    if inspect.iscoroutinefunction(target):
        await target(**arguments)
        return
    answer = await _in_a_thread(target, **arguments)
    if inspect.isawaitable(answer):
        await answer


async def _notify(notifier_class: type[Any], kwargs: Mapping[str, Any], context: Mapping[str, Any]) -> None:
    """By its own methods, not by calling it: that would render once more what has been rendered, over its own fields."""
    arguments = await _in_a_thread(rendered, kwargs, context)
    notifier = await _in_a_thread(notifier_class, **arguments)
    notifier.context = dict(context)
    # Before Airflow 3.1 there are none that can be awaited.
    unawaited = getattr(BaseNotifier, "async_notify", None)
    if unawaited is not None and notifier_class.async_notify is not unawaited:
        await notifier.async_notify(notifier.context)
    else:
        await _in_a_thread(notifier.notify, notifier.context)


def rendered(part: Any, context: Mapping[str, Any]) -> Any:
    """The same with its texts rendered."""
    if isinstance(part, str):
        return SandboxedEnvironment().from_string(part).render(**context) if "{" in part else part
    if isinstance(part, Mapping):
        return {key: rendered(value, context) for key, value in part.items()}
    if isinstance(part, list):
        return [rendered(value, context) for value in part]
    return part


async def _in_a_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    # By asgiref: what blocks may ask for an Airflow connection, and finds its way back to this loop.
    threads: Any = _DaemonThreads()  # its annotation asks for a pool of threads, and any executor will do
    return await sync_to_async(function, thread_sensitive=False, executor=threads)(*args, **kwargs)


class _DaemonThreads(Executor):
    """A thread for each call. One that never ends must hold up neither other calls nor the end of the process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Start it."""
        future: Future[Any] = Future()

        def _run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=_run, name="spot-alert", daemon=True).start()
        return future
