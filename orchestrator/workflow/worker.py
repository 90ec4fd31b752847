"""The worker: executes runs on a task queue."""

from __future__ import annotations

from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from orchestrator.settings import WorkerSettings
from orchestrator.workflow.activities import Activities
from orchestrator.workflow.budget_question import BudgetQuestion
from orchestrator.workflow.playbook_run import PlaybookRun


def make_worker(client: Client, task_queue: str, activities: Activities, settings: WorkerSettings) -> Worker:
    """A worker, not yet running. The sandbox is left out for speed; tests replay histories instead."""
    return Worker(
        client,
        task_queue=task_queue,
        workflows=[PlaybookRun, BudgetQuestion],
        activities=activities.all,
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=settings.max_cached_runs,
        max_concurrent_local_activities=settings.max_activities,
        max_concurrent_activities=settings.max_activities,
        # runs of a worker that died go to another one after this, instead of after ten seconds
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(seconds=settings.graceful_seconds),
    )
