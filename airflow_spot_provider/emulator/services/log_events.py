"""CloudWatch Logs' FilterLogEvents: by the prefix of a stream's name, and in order of time whatever stream a line is in.

moto looks at neither: it answers lines of every stream, one stream after the other.

Source: `FilterLogEvents <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html>`_.
"""

from __future__ import annotations

import json

from moto.logs.exceptions import InvalidParameterException
from moto.logs.responses import LogsResponse


def install_log_events() -> None:
    """Let moto's CloudWatch Logs answer FilterLogEvents as documented."""
    LogsResponse.filter_log_events = _filter_log_events  # type: ignore[method-assign]


def _filter_log_events(self: LogsResponse) -> str:
    group_name, names = self._get_param("logGroupName"), self._get_param("logStreamNames") or []
    prefix = self._get_param("logStreamNamePrefix")
    if prefix:
        if names:
            raise InvalidParameterException("logStreamNames and logStreamNamePrefix exclude one another")
        group = self.logs_backend.groups.get(group_name)
        names = [name for name in group.streams if name.startswith(prefix)] if group else []
        if group and not names:
            return json.dumps({"events": [], "searchedLogStreams": []})
    events, token, searched = self.logs_backend.filter_log_events(
        group_name,
        names,
        self._get_param("startTime"),
        self._get_param("endTime"),
        self._get_param("limit"),
        self._get_param("nextToken"),
        self._get_param("filterPattern"),
        interleaved=True,
    )
    more = {} if token is None else {"nextToken": token}
    return json.dumps({"events": events, "searchedLogStreams": searched, **more})
