"""One training job as a state machine: events in, transitions out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from airflow_spot_provider.emulator.instances.ending import Ending
from airflow_spot_provider.emulator.instances.instance import Listener
from airflow_spot_provider.emulator.jobs.lifecycles import End
from airflow_spot_provider.emulator.jobs.phases import INTERNAL_ERROR
from airflow_spot_provider.emulator.jobs.waiting import MAX_WAIT, STOPPED, WaitingJob

MAX_RUNTIME = "MaxRuntimeExceeded"


class TrainingJob(WaitingJob):
    """One training job. moto keeps it among its own, and reads ``tags``.

    :param spec: what was asked for.
    :param lifecycle: what it is to go through.
    :param world: what it shares with the other jobs of its server.
    """

    # What the API asks for

    def update(self, members: Mapping[str, Any]) -> None:
        """Change members of its request."""
        with self._lock:
            self.record.update(members, self._clock.now())
            self._world.keep(self)

    def retag(self, tags: list[dict[str, str]]) -> None:
        """Have these tags, and no others."""
        with self._lock:
            self.tags = tags
            self._world.keep(self)

    def begin(self) -> None:
        """Begin its life."""
        with self._lock:
            self._set_deadline()
            phase = self._enter("Starting")
            if self.course.is_launched:
                self._seek(phase)
            else:
                self._wait_for_capacity(phase)

    def stop(self, reason: str = STOPPED) -> bool:
        """Begin to stop it, by a user or because a limit is over.

        :return: False if it is stopping or has ended already.
        """
        with self._lock:
            if self.record.status != "InProgress":
                return False
            instance, on_instance = self._instance, self.usage.on_instance
            in_status_only = self._world.liberties().stopping_in_status_only
            self.record.begin_to_stop(reason, self._clock.now())
            phase = self._phases.begin() if in_status_only else self._enter("Stopping")
            if in_status_only:
                self._tell()
            if not on_instance:
                self._capacity.release()

            def _stopped(model: str | None = None) -> None:
                self.record.model_artifacts = model
                self._end("Stopped", reason)

            def _then(ending: Ending | None) -> None:
                self.stays.end(self._clock.now(), "stopped", ending)
                if instance is None or not on_instance:
                    self._phases.after(self.course.timing.stopping, phase, _stopped)
                    return
                uploading = self._enter("Uploading") if in_status_only else phase
                self._work(uploading, lambda: instance.upload(completed=False), _stopped)

            self._work(phase, lambda: None if instance is None else instance.end(), _then)
            return True

    def interrupt(self, *, torn: bool = False) -> bool:
        """Take its instance away now. False if it is not training on spot capacity.

        :param torn: without a grace period, and in the middle of writing a checkpoint.
        """
        with self._lock:
            if not self.spec.spot or not self._is_training:
                return False
            self._interrupt(torn=torn, by_hand=True)
            return True

    def shut_down(self) -> None:
        """End its process, whatever its state: the server is going away."""
        with self._lock:
            self._phases.begin()
            instance = self._instance
        if instance is not None:
            instance.kill()

    def take_up(self) -> None:
        """Go on after the server was lost, and with it every instance."""
        with self._lock:
            self.stays.end(self._clock.now(), "lost", None)
            if self.record.status == "Stopping":
                self._end("Stopped", self.record.stop_reason or STOPPED)
                return
            self._set_deadline()
            if not self.usage.on_instance:
                phase = self._phases.begin()
                if self.record.secondary_status not in ("Starting", "Pending"):
                    self._seek_again(phase, by_hand=False)
                elif self.course.is_launched:
                    self._seek(phase)
                return
            self.work.lose(0.0)
            self.usage.end(self._clock.now())
            self.course.go_on()
            self._seek_again(self._enter("Interrupted" if self.spec.spot else "Restarting"), by_hand=False)

    # What it goes through, in the order in which it does; all of it under the lock

    def _lose_capacity(self) -> None:
        """Its capacity went. What is being uploaded by then is finished within the notice that EC2 gives."""
        if self.record.status != "InProgress":
            return
        if self.record.secondary_status == "Starting":
            self._seek(self._phases.begin())
        elif self.record.secondary_status in ("Downloading", "Training"):
            self._interrupt()

    def _download(self) -> None:
        started = self._clock.now()
        phase = self._enter("Downloading")
        self.record.begin_instance(started, self._capacity.zone)
        stay = self.course.stay_number
        self.stays.begin(stay, started)
        listener = Listener(
            line=lambda line: self.record.read_metrics(line, self._clock.now()),
            checkpoint=lambda: self._in_training(stay, self._checkpoint_written),
            exited=lambda status: self._in_training(stay, lambda: self._script_ended(status)),
            failed=lambda reason: self._in_training(stay, lambda: self._give_up(reason)),
        )
        self._instance = self._world.launch(self.spec, stay, listener)
        self.runs_script = self._instance.runs_script

        def _then(_: None) -> None:
            took = (self._clock.now() - started).total_seconds()
            self._phases.after(max(0.0, self.course.timing.downloading - took), phase, self._train)

        self._work(phase, self._instance.download, _then)

    def _train(self) -> None:
        assert self._instance is not None
        phase = self._enter("Training")
        left = max(0.0, self.course.max_runtime(runs_script=self.runs_script) - self.runtime)
        self._phases.after(left, phase, lambda: self.stop(MAX_RUNTIME))
        self._work(phase, self._instance.train, lambda _: None)
        end = self.course.stay.end
        if end is End.FAILED:
            self._phases.after(self.course.timing.downloading, phase, self._fail_as_planned)
        elif end is not End.DONE:
            seconds = self.course.latest_interruption(runs_script=self.runs_script)
            self._phases.after(seconds, phase, self._cut_off_as_planned)
        if not self.runs_script and end in (End.DONE, End.INTERRUPTED):
            # What it states on the way, and, unless it is interrupted before, in the end.
            for seconds, metrics in self.work.metrics(self._instance.metrics()):
                self._phases.after(seconds, phase, partial(self._note, metrics))
            if end is End.DONE:
                self._phases.after(self.work.seconds_left, phase, self._upload)
        # The last stay before MaxWait holds on to its instance until then.

    def _note(self, metrics: Mapping[str, float]) -> None:
        self.record.note(metrics, self._clock.now())

    def _checkpoint_written(self) -> None:
        self.stays.count_checkpoint()
        self._cut_off_as_planned()

    def _cut_off_as_planned(self) -> None:
        """End the stay as planned: its script has just written a checkpoint, or has ended, or has had its time for that."""
        if self.course.stay.end is End.INTERRUPTED:
            self._interrupt()
        elif self.course.stay.end is End.MAX_WAIT:
            self._may_be_cut_off = True
            if self._is_overdue:
                self.stop(MAX_WAIT)

    def _script_ended(self, status: int) -> None:
        assert self._instance is not None
        instance = self._instance
        if status != 0:
            said = instance.failure()
            reason = f"AlgorithmError: ExecuteUserScriptError: {said or 'the script failed'}"
            self._give_up(f"{reason[:1000]}, exit code: {status}")
        elif self.course.stay.end is End.DONE:
            self._upload()
        else:
            # The instance is lost before the upload: what the script did since its last checkpoint counts for nothing.
            self._cut_off_as_planned()

    def _give_up(self, reason: str) -> None:
        """It cannot go on, for a reason that lies with the user."""
        assert self._instance is not None
        phase = self._enter("Uploading")

        def _then(ending: Ending) -> None:
            self.stays.end(self._clock.now(), "failed", ending)
            self._end("Failed", "Failed", reason)

        self._work(phase, self._instance.end, _then)

    def _fail_as_planned(self) -> None:
        """SageMaker's own failure: the one kind that a RetryStrategy is for."""
        if not self.retries_left:
            self._end("Failed", "Failed", INTERNAL_ERROR)
            return
        self.retries_left -= 1
        self._leave_instance("Restarting", why="failed")

    def _interrupt(self, *, torn: bool = False, by_hand: bool = False) -> None:
        self.work.lose(self.record.seconds_in_status(self._clock.now()) if self._is_training else 0.0)
        self._leave_instance("Interrupted", why="torn" if torn else "interrupted", torn=torn, by_hand=by_hand)

    def _leave_instance(
        self, secondary_status: str, *, why: str, torn: bool = False, by_hand: bool = False
    ) -> None:
        """Leave the instance behind, and look for another."""
        assert self._instance is not None
        lost, instance = self._clock.now(), self._instance
        phase = self._enter(secondary_status)
        self.usage.end(lost)
        self._capacity.release()
        self.course.go_on()

        def _end_and_discard() -> Ending:
            ending = instance.tear() if torn else instance.end()
            instance.discard()
            return ending

        def _then(ending: Ending) -> None:
            self.stays.end(lost, why, ending)
            self._seek_again(phase, by_hand=by_hand, since=lost)

        self._work(phase, _end_and_discard, _then)

    def _seek_again(self, phase: int, *, by_hand: bool, since: datetime | None = None) -> None:
        """Wait for other instances: of a planned lifecycle for as long as the plan says, else for capacity."""
        now = self._clock.now()
        if self.spec.spot and self.course.on_market and not by_hand:
            self._capacity.request(self._phases.within(phase, self._launch_again))
            return
        outage = self.course.outage_seconds(
            waited=((since or now) - self.creation_time).total_seconds(),
            runtime=self.runtime,
            runs_script=self.runs_script,
        )
        took = (now - (since or now)).total_seconds()
        self._phases.after(max(0.0, outage - took), phase, self._launch_again)

    def _launch_again(self) -> None:
        self._instance = None
        if not self.course.stay.starting:
            self._download()
            return
        phase = self._enter("Starting")
        if self._capacity.is_asked_for:
            self._phases.after(self.course.timing.starting, phase, self._download)
        else:
            self._seek(phase)

    def _upload(self) -> None:
        assert self._instance is not None
        instance = self._instance
        phase = self._enter("Uploading")

        def _end_and_upload() -> tuple[Ending, str | None]:
            return instance.end(), instance.upload(completed=True)

        def _then(result: tuple[Ending, str | None]) -> None:
            ending, self.record.model_artifacts = result
            self.stays.end(self._clock.now(), "done", ending)
            self._phases.after(
                self.course.timing.uploading, phase, lambda: self._end("Completed", "Completed")
            )

        self._work(phase, _end_and_upload, _then)

    def _tell(self) -> None:
        self._world.keep(self)
        self._world.announce(self)
