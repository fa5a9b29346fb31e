"""Say it in the tasks' logs when AWS cannot be asked: once when changes are known late, and once when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from airflow_spot_provider.aws.errors import code_of
from airflow_spot_provider.aws.watching.line import Line
from airflow_spot_provider.aws.watching.subscription import Notice, Subscription


async def tell_of_trouble(
    line: Line, interval: Callable[[], float], waiting: Callable[[], list[Subscription]]
) -> None:
    """Say it in the tasks' logs when AWS cannot be asked for so long that changes are known late, and when it can again."""
    told = False
    while True:
        await asyncio.sleep(interval() / 2)
        since, trouble = line.trouble_since, line.trouble
        if since is None and not told:
            continue
        told = since is not None
        late = since is not None and asyncio.get_running_loop().time() - since >= interval()
        for count, subscription in enumerate(waiting()):
            if since is None:
                say_it_is_over(subscription)
            elif late and not subscription.knows_trouble:
                subscription.knows_trouble = True
                subscription.put(
                    Notice(
                        f"SageMaker cannot be asked just now ({code_of(trouble) if trouble else 'no answer'}); the job "
                        "goes on, and so does watching it.",
                        warning=True,
                    )
                )
            if count % 100 == 99:
                await asyncio.sleep(0)  # thousands of log lines must not hold up the loop


def say_it_is_over(subscription: Subscription) -> None:
    """Tell who was told of trouble that it is over."""
    if subscription.knows_trouble:
        subscription.knows_trouble = False
        subscription.put(Notice("SageMaker answers again; the job is still watched.", warning=False))
