"""What SageMaker may do besides the obvious: it is documented or has been seen, and a client has to live with it."""

from __future__ import annotations

from dataclasses import dataclass

CUT_FIRST, FILTER_FIRST = "cut-first", "filter-first"
"""What is done first to a list: its pages are cut, or it is filtered."""


@dataclass(frozen=True)
class Liberties:
    """The liberties that SageMaker takes here, now. Times are emulated seconds.

    :param filters_first: lists are filtered before their pages are cut. SageMaker does it the other way round (`ListTrainingJobs
        <https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html>`_), and so it is here unless this is set.
    :param lag_seconds: descriptions and lists of training jobs are so old.
    :param tags_lag_seconds: the tags that ListTags tells are so old; those of a new job are not there yet.
    :param denied_seconds: a new job may not be described for so long, where a policy goes by tags that lag behind
        (aws/sagemaker-python-sdk#4600).
    :param bare_summaries: the summaries of a list have no SecondaryStatus, which is an optional member.
    :param pending: the SecondaryStatus of a job that waits for its first capacity is Pending, and not Starting.
    :param stopping_in_status_only: of a job that is stopping, TrainingJobStatus alone says so; its SecondaryStatus stays what it was, such
        as Training, and becomes Uploading.
    """

    filters_first: bool = False
    lag_seconds: float = 0.0
    tags_lag_seconds: float = 0.0
    denied_seconds: float = 0.0
    bare_summaries: bool = False
    pending: bool = False
    stopping_in_status_only: bool = False
