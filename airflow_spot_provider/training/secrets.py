"""What of a request may be secret: the one list of such members, and how their values are kept out of what is shown.

Everything that a request has as free text for the script is taken for a secret: tokens and passwords are passed there. SageMaker's
own words quote it: a refusal quotes the request, and in script mode the FailureReason quotes the whole command line, with every
hyperparameter (aws/sagemaker-python-sdk#658).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import takewhile
from typing import Any

from airflow_spot_provider.training.free_text import container_of

MASK = "***"
"""What stands for a value that is not shown."""
HYPERPARAMETERS = frozenset({"HyperParameters", "StaticHyperParameters"})
SECRET_MEMBERS = HYPERPARAMETERS | {
    "Environment",
    "ContainerArguments",
    "ContainerEntrypoint",
    "CollectionParameters",
    "HookParameters",
    "ProfilingParameters",
    "RuleParameters",
}
"""The members of CreateTrainingJob, CreateHyperParameterTuningJob and of what describes these jobs whose values are never shown."""
_SHORTEST = 4
"""Characters from which on a hyperparameter is masked in a text, and from which on the beginning of a cut secret is."""
_LONG = 24
"""Characters from which on a value is known by its beginning, half as long."""
_MAX_FAILURE_REASON = 1_024
"""Characters at which SageMaker cuts a FailureReason (`DescribeTrainingJob
<https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html>`_)."""
_SAYS_SECRET = re.compile(
    r"secret|token|passw|pwd|credential|auth|private|api[-_.]?key|access[-_.]?key", re.IGNORECASE
)
_NUMBER_OR_WORD = re.compile(r"[-+]?[\d.]+(?:e[-+]?\d+)?|true|false|null|none|nan", re.IGNORECASE)


def masked_values(member: Any) -> Any:
    """The names of a mapping, or the places of a list, with every value masked; anything else is masked whole, None excepted."""
    if isinstance(member, Mapping):
        return dict.fromkeys(member, MASK)
    if isinstance(member, list | tuple):
        return [MASK] * len(member)
    return None if member is None else MASK


def masked_request(part: Any) -> Any:
    """A request or a description with the values of what may be secret masked, wherever they are.

    Text that a template has rendered a dict or list to is shown as that. Text that names a secret member and cannot be read is masked
    whole.
    """
    if isinstance(part, Mapping):
        return {
            key: masked_values(value) if key in SECRET_MEMBERS else masked_request(value)
            for key, value in part.items()
        }
    if isinstance(part, list | tuple):
        return [masked_request(value) for value in part]
    if isinstance(part, str) and any(name in part for name in SECRET_MEMBERS):
        read = container_of(part, (Mapping, list, tuple))
        return MASK if read is None else masked_request(read)
    return part


def secret_mappings(part: Any) -> Iterator[Mapping[str, Any]]:
    """The members of a request that may hold secrets by name, such as Environment."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key not in SECRET_MEMBERS:
                yield from secret_mappings(value)
            elif isinstance(value, Mapping):
                yield value
    elif isinstance(part, list | tuple):
        for value in part:
            yield from secret_mappings(value)


def masked_text(text: str, part: Any) -> str:
    """A text of SageMaker's with the values of what may be secret in a request masked.

    A value counts where it stands by itself, and not as a piece of a word or of a number. Values of Environment and of containers'
    arguments are always masked; of hyperparameters, which are mostly short numbers and words that messages need, those that
    are four characters or longer and neither a number nor a truth value, and all whose name speaks of a secret.

    :param text: an error message, or a FailureReason.
    :param part: the request that it is about, or the description that it stands in.
    """
    forms = sorted({form for value in _secrets(part) for form in _forms(value)}, key=len, reverse=True)
    if not forms:
        return text
    masked = re.sub("|".join(map(_by_itself, forms)), MASK, text)
    for form in forms:
        masked = _without_beginnings(masked, form)
    return _without_cut_secret(masked, forms) if len(text) >= _MAX_FAILURE_REASON else masked


def told_failure_reason(description: Mapping[str, Any]) -> str:
    """The FailureReason of a training job or a tuning job, without what may be secret; "" if SageMaker gave none.

    :param description: an answer of DescribeTrainingJob or DescribeHyperParameterTuningJob.
    """
    return masked_text(str(description.get("FailureReason") or ""), description)


def _secrets(part: Any) -> Iterator[str]:
    """The values that no text may show, as the request has them."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from _values(key, value) if key in SECRET_MEMBERS else _secrets(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _secrets(value)


def _values(member: str, values: Any) -> Iterator[str]:
    if isinstance(values, Mapping):
        for name, value in values.items():
            if member not in HYPERPARAMETERS or _may_be_secret(str(name), str(value)):
                yield str(value)
    elif isinstance(values, list | tuple):
        yield from map(str, values)
    elif values is not None:
        yield str(values)


def _may_be_secret(name: str, value: str) -> bool:
    if _SAYS_SECRET.search(name):
        return True
    return len(value) >= _SHORTEST and not _NUMBER_OR_WORD.fullmatch(value.strip("\"' "))


def _forms(value: str) -> Iterator[str]:
    """A value in the ways that SageMaker, its toolkit and Python write it: as it is, escaped, and read as JSON."""
    bare = value.strip()
    for form in (bare, json.dumps(bare)[1:-1], json.dumps(bare, ensure_ascii=False)[1:-1], repr(bare)[1:-1]):
        if form:
            yield form
    try:
        read = json.loads(value)
    except (ValueError, RecursionError):
        return
    if isinstance(read, str | list | dict):
        yield from (
            leaf for leaf in _leaves(read) if len(leaf) >= _SHORTEST and not _NUMBER_OR_WORD.fullmatch(leaf)
        )


def _leaves(read: Any) -> Iterator[str]:
    """The texts in what was JSON: the toolkit hands them to a script one by one."""
    if isinstance(read, str):
        yield read.strip()
    elif isinstance(read, Mapping | list):
        parts: Iterable[Any] = read.values() if isinstance(read, Mapping) else read
        for part in parts:
            yield from _leaves(part)


def _by_itself(form: str) -> str:
    number = bool(_NUMBER_OR_WORD.fullmatch(form))
    before = r"(?<![\w.])" if number else r"(?<!\w)"
    after = r"(?!\w|\.\d)" if number else r"(?!\w)"
    return (
        f"{before if _is_of_word(form[0]) else ''}{re.escape(form)}{after if _is_of_word(form[-1]) else ''}"
    )


def _is_of_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _without_beginnings(text: str, form: str) -> str:
    """A refusal may quote the beginning of a long value alone, with three dots after it."""
    if len(form) < _LONG:
        return text
    place = 0
    while (place := text.find(form[: _LONG // 2], place)) >= 0:
        same = takewhile(lambda pair: pair[0] == pair[1], zip(text[place:], form, strict=False))
        size = sum(1 for _ in same)
        text = f"{text[:place]}{MASK}{text[place + size :]}"
    return text


def _without_cut_secret(text: str, forms: Iterable[str]) -> str:
    """SageMaker cuts a long reason anywhere: what begins a secret there is taken away."""
    for form in forms:
        for size in range(min(len(form) - 1, len(text)), _SHORTEST - 1, -1):
            if text.endswith(form[:size]):
                return f"{text[:-size]}{MASK}"
    return text
