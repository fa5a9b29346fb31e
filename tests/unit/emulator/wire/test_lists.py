"""Lists of jobs: a page is cut first and filtered then, as SageMaker documents it; the other way round where it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends

from airflow_spot_provider.emulator.clock import SteppedClock
from airflow_spot_provider.emulator.jobs.liberties import Liberties
from airflow_spot_provider.emulator.jobs.lifecycles import lifecycle_named
from airflow_spot_provider.emulator.jobs.plans import Plans
from airflow_spot_provider.emulator.jobs.registry import Registry
from airflow_spot_provider.emulator.jobs.training_job import TrainingJob
from airflow_spot_provider.emulator.jobs.world import World
from airflow_spot_provider.emulator.market.quotas import Quotas
from airflow_spot_provider.emulator.tuning.tuning_jobs import TuningJobs
from airflow_spot_provider.emulator.wire.protocol import Call
from airflow_spot_provider.emulator.wire.training import TrainingAPI
from airflow_spot_provider.emulator.wire.tuning import TuningAPI
from tests.unit.emulator.conftest import tuning_request_of

ACCOUNT, REGION = "123456789012", "eu-central-1"
JOBS = 25
RUNNING = {3, 4, 17}
"""Those that do not end; all others have Completed."""
KINDS = {
    "training": ("ListTrainingJobs", "TrainingJobSummaries", "TrainingJobName"),
    "tuning": (
        "ListHyperParameterTuningJobs",
        "HyperParameterTuningJobSummaries",
        "HyperParameterTuningJobName",
    ),
}


class Lists:
    """Jobs of one kind, and the pages in which they are listed."""

    def __init__(self, kind: str, world: World) -> None:
        own = replace(world, announce=self._training_job_changed)
        registry = Registry(own, Plans(lifecycle_named("uninterrupted")), Quotas())
        self.tuning_jobs = TuningJobs(registry, world.clock)
        self.liberties = Liberties()
        self._operations = {
            **TrainingAPI(registry, lambda: self.liberties).operations,
            **TuningAPI(self.tuning_jobs, lambda: self.liberties).operations,
        }
        self._list, self._summaries, self.name = KINDS[kind]

    def _training_job_changed(self, job: TrainingJob) -> None:
        self.tuning_jobs.training_job_changed(job)

    def call(self, operation: str, **parameters: Any) -> Any:
        return self._operations[operation](Call(operation, parameters, ACCOUNT, REGION))

    def pages(self, **parameters: Any) -> Iterator[list[dict[str, Any]]]:
        token = None
        while True:
            answer = self.call(self._list, **parameters, **({} if token is None else {"NextToken": token}))
            yield answer[self._summaries]
            if (token := answer["NextToken"]) is None:
                return

    def names(self, **parameters: Any) -> list[list[str]]:
        return [[summary[self.name] for summary in page] for page in self.pages(**parameters)]


@pytest.fixture
def lists(
    request: pytest.FixtureRequest,
    world: World,
    clock: SteppedClock,
    request_of: Callable[..., dict[str, Any]],
) -> Iterator[Lists]:
    """Of 25 jobs, each a minute after the one before it, three run."""
    made = Lists(request.param, world)
    for number in range(JOBS):
        seconds = "900000" if number in RUNNING else "10"
        name = f"job-{number:02}-{'odd' if number % 2 else 'even'}"
        training = request_of(StoppingCondition={"MaxRuntimeInSeconds": 10**6, "MaxWaitTimeInSeconds": 10**6})
        tags = [{"Key": "emulator:training-seconds", "Value": seconds}]
        if request.param == "training":
            made.call("CreateTrainingJob", **training | {"TrainingJobName": name, "Tags": tags})
        else:
            made.call("CreateHyperParameterTuningJob", **tuning_request_of(training, name, tags=tags))
        clock.advance(timedelta(seconds=60))
    clock.advance(timedelta(seconds=60))
    yield made
    sagemaker_backends[ACCOUNT][REGION].training_jobs.clear()
    sagemaker_backends[ACCOUNT][REGION].hyper_parameter_tuning_jobs.clear()


both = pytest.mark.parametrize("lists", KINDS, indirect=True)
FILTERS = ["status", "name", "created after", "created before", "modified after", "nothing fits"]


def _filter(name: str, clock: SteppedClock) -> tuple[dict[str, Any], set[int]]:
    """Members of a request, and the numbers of the jobs that they are for."""
    # A job is created each minute, and one that ends does so in less than that.
    ago = clock.now().timestamp() - 60 - 60 * 10 - 1
    after = {number for number in range(JOBS) if number >= JOBS - 10}
    return {
        "status": ({"StatusEquals": "InProgress"}, RUNNING),
        "name": ({"NameContains": "odd"}, set(range(1, JOBS, 2))),
        "created after": ({"CreationTimeAfter": ago}, after),
        "created before": ({"CreationTimeBefore": ago}, set(range(JOBS)) - after),
        "modified after": ({"LastModifiedTimeAfter": ago}, after),
        "nothing fits": ({"NameContains": "nobody"}, set()),
    }[name]


@both
@pytest.mark.parametrize("order", ["Ascending", "Descending"])
@pytest.mark.parametrize("filtered", FILTERS)
def test_pages_are_those_of_the_whole_list_with_what_does_not_fit_left_out(
    lists: Lists, clock: SteppedClock, filtered: str, order: str
) -> None:
    sort = {"SortBy": "CreationTime", "SortOrder": order, "MaxResults": 4}
    sent, numbers = _filter(filtered, clock)
    fitting = {name for page in lists.names(**sort) for name in page if int(name.split("-")[1]) in numbers}

    pages = lists.names(**sort, **sent)

    assert len(fitting) == len(numbers)
    assert pages == [[name for name in page if name in fitting] for page in lists.names(**sort)]
    assert len(pages) == 7
    assert any(len(page) < 4 for page in pages[:-1]), "a short page is not the last one"


@both
@pytest.mark.parametrize("filtered", FILTERS)
def test_filtered_first_only_the_last_page_is_short(lists: Lists, clock: SteppedClock, filtered: str) -> None:
    sent, numbers = _filter(filtered, clock)
    cut_first = [name for page in lists.names(SortBy="CreationTime", **sent) for name in page]
    lists.liberties = Liberties(filters_first=True)

    pages = lists.names(SortBy="CreationTime", MaxResults=4, **sent)

    assert [name for page in pages for name in page] == cut_first
    assert [len(page) for page in pages[:-1]] == [4] * (len(pages) - 1)
    assert len(pages) == max(1, -(-len(numbers) // 4))


@both
def test_without_max_results_ten_are_cut_and_filtered(lists: Lists) -> None:
    pages = lists.names(StatusEquals="InProgress", SortBy="CreationTime", SortOrder="Descending")
    assert [len(page) for page in pages] == [1, 0, 2]


@both
def test_page_goes_on_by_its_place_whether_or_not_the_last_job_before_it_fitted_or_is_still_there(
    lists: Lists,
) -> None:
    sort = {"SortBy": "CreationTime", "SortOrder": "Descending", "MaxResults": 4, "NameContains": "odd"}
    pages = lists.pages(**sort)
    first = next(pages)
    last_cut = "job-21-odd"
    assert first[-1][lists.name] == last_cut
    operation = {"TrainingJobName": "DeleteTrainingJob"}.get(lists.name, "DeleteHyperParameterTuningJob")
    lists.call(operation, **{lists.name: last_cut})
    assert [job[lists.name] for job in next(pages)] == ["job-19-odd", "job-17-odd"]


@pytest.mark.parametrize("lists", ["training"], indirect=True)
def test_filter_goes_by_what_the_summary_says_where_lists_lag(lists: Lists, clock: SteppedClock) -> None:
    clock.advance(timedelta(hours=1))
    lists.liberties = Liberties(lag_seconds=3600 + 60 + 55)
    [*_, newest] = sorted(lists.names(SortBy="Name", MaxResults=100)[0])

    def _listed(status: str) -> dict[str, str]:
        pages = lists.pages(StatusEquals=status, MaxResults=100)
        return {job["TrainingJobName"]: job["TrainingJobStatus"] for page in pages for job in page}

    assert _listed("InProgress")[newest] == "InProgress"
    assert newest not in _listed("Completed")
    assert set(_listed("Completed").values()) == {"Completed"}


@pytest.mark.parametrize("lists", ["training"], indirect=True)
def test_summaries_may_have_no_secondary_status(lists: Lists) -> None:
    whole = next(lists.pages(MaxResults=100))
    lists.liberties = Liberties(bare_summaries=True)
    bare = next(lists.pages(MaxResults=100))
    assert {job["SecondaryStatus"] for job in whole} == {"Training", "Completed"}
    assert bare == [
        {name: value for name, value in job.items() if name != "SecondaryStatus"} for job in whole
    ]


@pytest.mark.parametrize("lists", ["training"], indirect=True)
def test_the_training_jobs_of_a_tuning_job_are_filtered_first_as_nothing_else_is_documented(
    lists: Lists, clock: SteppedClock, request_of: Callable[..., dict[str, Any]]
) -> None:
    tags = [{"Key": "emulator:training-seconds", "Value": "600"}]
    lists.call("CreateHyperParameterTuningJob", **tuning_request_of(request_of(), jobs=6, tags=tags))
    clock.advance(timedelta(seconds=60))
    [tuning_job] = lists.tuning_jobs.all()
    stopped = sorted(member.training_job.training_job_name for member in tuning_job.members)[-2:]
    for name in stopped:
        lists.call("StopTrainingJob", TrainingJobName=name)
    clock.advance(timedelta(seconds=60))
    answer = lists.call(
        "ListTrainingJobsForHyperParameterTuningJob",
        HyperParameterTuningJobName="tune",
        StatusEquals="Stopped",
        MaxResults=2,
    )
    assert [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]] == stopped
