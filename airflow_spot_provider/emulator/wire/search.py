"""Search: over training jobs and tuning jobs; moto answers for what else there is to search.

Source: `Search <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html>`_.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.exceptions import ValidationException
from airflow_spot_provider.emulator.wire.pages import page_of
from airflow_spot_provider.emulator.wire.protocol import Call, NotOurs, Operation, service_model
from airflow_spot_provider.emulator.wire.training import checked

_RECORDS = {"TrainingJob": "training_jobs", "HyperParameterTuningJob": "hyper_parameter_tuning_jobs"}
_NAMES = {"TrainingJob": "TrainingJobName", "HyperParameterTuningJob": "HyperParameterTuningJobName"}
_WITHOUT_VALUE = ("Exists", "NotExists")

Record = Mapping[str, Any]
Test = Callable[[Record], bool]


class SearchAPI:
    """Answers Search."""

    @property
    def operations(self) -> dict[str, Operation]:
        """What answers the operation, with its request checked against the service model."""
        own = checked({"Search": self.search})["Search"]

        def _search(call: Call) -> Mapping[str, Any]:
            resource = call.parameters.get("Resource")
            known = service_model("sagemaker").shape_for("ResourceType").enum
            if isinstance(resource, str) and resource in known and resource not in _RECORDS:
                raise NotOurs
            return own(call)

        return {"Search": _search}

    def search(self, call: Call) -> dict[str, Any]:
        """Search."""
        sent = call.parameters
        resource: str = sent["Resource"]
        backend: Any = sagemaker_backends[call.account_id][call.region]
        test = _expression(sent.get("SearchExpression") or {}, resource)
        records = [
            {**(job.describe() or {}), "Tags": list(job.tags)}
            for job in list(getattr(backend, _RECORDS[resource]).values())
        ]
        found = [record for record in records if test(record)]
        sort_by = sent.get("SortBy") or "LastModifiedTime"
        _see_that_it_is_a_property(sort_by, resource)
        page, token = page_of(
            found,
            sort_key=lambda record: _sortable(next(_values(record, sort_by), None)),
            name=lambda record: str(record[_NAMES[resource]]),
            descending=(sent.get("SortOrder") or "Descending") == "Descending",
            size=sent.get("MaxResults") or 10,
            token=sent.get("NextToken"),
        )
        return {
            "Results": [{resource: record} for record in page],
            "NextToken": token,
            "TotalHits": {"Value": len(found), "Relation": "EqualTo"},
        }


def _expression(expression: Mapping[str, Any], resource: str) -> Test:
    """A test of the filters of an expression and of those within it."""
    tests = [_filter(entry, resource) for entry in expression.get("Filters") or ()]
    tests += [_nested(entry, resource) for entry in expression.get("NestedFilters") or ()]
    tests += [_expression(entry, resource) for entry in expression.get("SubExpressions") or ()]
    if not tests:
        return lambda _: True
    together = any if expression.get("Operator") == "Or" else all
    return lambda record: together(test(record) for test in tests)


def _nested(nested: Mapping[str, Any], resource: str) -> Test:
    """A test that one entry of a list passes all the filters, such as one channel of InputDataConfig."""
    name: str = nested["NestedPropertyName"]
    _see_that_it_is_a_property(name, resource)
    tests = [_test({**entry, "Name": entry["Name"].removeprefix(f"{name}.")}) for entry in nested["Filters"]]
    return lambda record: any(
        all(test(entry) for test in tests) for entry in _values(record, name) if isinstance(entry, Mapping)
    )


def _filter(entry: Mapping[str, Any], resource: str) -> Test:
    _see_that_it_is_a_property(entry["Name"], resource)
    return _test(entry)


def _test(entry: Mapping[str, Any]) -> Test:
    name, operator, wanted = entry["Name"], entry.get("Operator") or "Equals", entry.get("Value")
    if wanted is None and operator not in _WITHOUT_VALUE:
        raise ValidationException(f"The operator {operator} of the filter {name} needs a Value")
    if wanted is not None and operator in _WITHOUT_VALUE:
        raise ValidationException(f"The operator {operator} of the filter {name} takes no Value")
    match operator:
        case "Exists":
            return lambda record: next(_values(record, name), None) is not None
        case "NotExists":
            return lambda record: next(_values(record, name), None) is None
        case "NotEquals":
            return lambda record: not any(_equals(value, wanted) for value in _values(record, name))
        case "In":
            several = str(wanted).split(",")
            return lambda record: any(
                _equals(value, one) for value in _values(record, name) for one in several
            )
        case "Contains":
            return lambda record: any(str(wanted) in str(value) for value in _values(record, name))
        case "Equals":
            return lambda record: any(_equals(value, wanted) for value in _values(record, name))
    number = _number(wanted)
    if number is None:
        raise ValidationException(f"The filter {name} compares with '{wanted}', and no number or time")
    compare = {
        "GreaterThan": lambda value: value > number,
        "GreaterThanOrEqualTo": lambda value: value >= number,
        "LessThan": lambda value: value < number,
        "LessThanOrEqualTo": lambda value: value <= number,
    }[operator]
    return lambda record: any(
        compare(found) for value in _values(record, name) if (found := _number(value)) is not None
    )


def _values(record: Any, name: str) -> Iterator[Any]:
    """What a property's path leads to: through structures by name, and through lists by each entry, or by its key."""
    if record is None:
        return
    if not name:
        if isinstance(record, list | tuple):
            yield from record
        else:
            yield record
        return
    if isinstance(record, list | tuple):
        for entry in record:
            if isinstance(entry, Mapping) and name in (entry.get("Key"), entry.get("MetricName")):
                yield entry.get("Value")
            else:
                yield from _values(entry, name)
        return
    if not isinstance(record, Mapping):
        return
    if name in record:
        yield from _values(record[name], "")
        return
    head, dot, rest = name.partition(".")
    # SageMaker calls the list of final metrics by another name in searches.
    head = {"Metrics": "FinalMetricDataList"}.get(head, head)
    if dot and head in record:
        yield from _values(record[head], rest)


def _equals(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool):
        return str(value).lower() == str(wanted).lower()
    found, number = _number(value), _number(wanted)
    if found is not None and number is not None:
        return found == number
    return str(value) == str(wanted)


def _number(value: Any) -> float | None:
    """A number, or a time in epoch seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        pass
    try:
        time = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _sortable(value: Any) -> str:
    """A key that sorts numbers and times by size and anything else as text, what is missing first."""
    number = _number(value)
    if number is not None:
        return f"1{number:030.6f}"
    return "" if value is None else f"2{value}"


def _see_that_it_is_a_property(name: str, resource: str) -> None:
    """Refuse a property that records of this kind do not have."""
    head = name.partition(".")[0]
    shape = service_model("sagemaker").shape_for("SearchRecord").members[resource]
    if head not in shape.members and head not in ("Metrics", "Tags"):
        raise ValidationException(f"Unknown property name: {name}")
