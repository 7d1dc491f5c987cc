"""`/v1/config`: plan, apply and export the one configuration file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from airside.access.projects import DEFAULT_PROJECT, Project
from airside.api.auth import admin_router
from airside.api.services import Services, Use
from airside.config.export import export_file, left_out
from airside.config.file import AirsideFile, ParsedFile, check_references, parse_file
from airside.config.plan import Action, Change, Current, Kind, apply, desired_state, plan, read_current
from airside.dataplanes.compiler import missing_credentials, unpriced_targets
from airside.errors import Conflict

router: APIRouter = admin_router("/v1/config", "configuration")


class ConfigSource(BaseModel):
    """A file's text, and its name for error messages."""

    model_config = ConfigDict(extra="forbid")
    source: Annotated[str, Field(max_length=4_000_000)]
    filename: Annotated[str, Field(max_length=4096)] = "airside.yaml"


class DifferenceResource(BaseModel):
    """One value that changes."""

    path: str
    before: Any
    after: Any


class ChangeResource(BaseModel):
    """One thing that changes."""

    kind: Kind
    name: str
    action: Action
    differences: Sequence[DifferenceResource]


class PlanResource(BaseModel):
    """What a file changes, and what to look out for. After an apply, also what gateways have of it."""

    project: str
    changes: Sequence[ChangeResource]
    warnings: Sequence[str]
    applied: bool
    snapshot_version: int | None = None
    adopted: bool | None = Field(default=None, description="Every gateway that is up runs on it.")


class ExportedConfig(BaseModel):
    """A project as a file, and what a file cannot hold of it."""

    source: str
    warnings: Sequence[str] = ()


@router.post("/plan")
async def plan_config(body: ConfigSource, services: Use) -> PlanResource:
    """Say what applying a file would change. Changes nothing."""
    parsed = parse_file(body.source, body.filename)
    async with services.database.write() as connection:
        current, changes = await _plan(connection, services, parsed)
        name = parsed.content.project or current.project.name
    return _resource(services, parsed, name, changes)


@router.post("/apply")
async def apply_config(body: ConfigSource, services: Use) -> PlanResource:
    """Make a file so. Returns once every gateway that is up runs on it, or after two seconds."""
    parsed = parse_file(body.source, body.filename)
    async with services.database.write() as connection:
        current, changes = await _plan(connection, services, parsed)
        await apply(connection, services.stores, current, parsed.content, changes)
        project = await _named(connection, services, current.project, parsed.content.project)
    snapshot = await services.feed.refresh()
    adopted = await services.feed.adopted(snapshot.version)
    resource = _resource(services, parsed, project.name, changes)
    return resource.model_copy(update={"applied": True, "snapshot_version": snapshot.version, "adopted": adopted})


@router.get("")
async def export_config(services: Use) -> ExportedConfig:
    """The project as a file that `apply` would leave unchanged."""
    async with services.database.write() as connection:
        project = await services.stores.projects.only(connection)
        source = export_file(await read_current(connection, services.stores, project))
        warnings = await left_out(connection, services.stores, project.project_id)
    return ExportedConfig(source=source, warnings=warnings)


async def _plan(connection: AsyncConnection, services: Services, parsed: ParsedFile) -> tuple[Current, list[Change]]:
    project = await services.stores.projects.only(connection)
    current = await read_current(connection, services.stores, project)
    name = parsed.content.project
    if name not in {None, project.name} and project.name != DEFAULT_PROJECT:
        raise Conflict(
            f"{parsed.source.file}: the file is for project {name!r}, but this server holds {project.name!r}",
            code="other_project",
            hint=f"Write `project: {project.name}`, or use a server with another data directory.",
        )
    check_references(parsed, current.known_with(parsed.content))
    return current, plan(current.state, desired_state(parsed.content))


async def _named(connection: AsyncConnection, services: Services, project: Project, name: str | None) -> Project:
    if name is None or name == project.name:
        return project
    return await services.stores.projects.rename(connection, project, name)


def _resource(services: Services, parsed: ParsedFile, project: str, changes: Sequence[Change]) -> PlanResource:
    return PlanResource(
        project=project,
        changes=[
            ChangeResource(
                kind=change.kind,
                name=change.name,
                action=change.action,
                differences=[
                    DifferenceResource(path=one.path, before=one.before, after=one.after) for one in change.differences
                ],
            )
            for change in changes
        ],
        warnings=_warnings(services, parsed.content),
        applied=False,
    )


def _warnings(services: Services, content: AirsideFile) -> list[str]:
    warnings: list[str] = []
    for name, provider in content.providers.items():
        warnings += [
            f"provider {name!r} takes its credential from {variable}, which is not set where the control plane "
            "runs; it is not used until it is set and the control plane restarted"
            for variable in missing_credentials(provider, services.environment)
        ]
    warnings += [
        f"model {name!r}: the last step of its route has a condition, so calls that no step is for are refused; "
        "end the route with a step without `when`"
        for name, model in content.models.items()
        if not model.is_for_every_call
    ]
    if content.unknown_price.policy == "refuse":
        warnings += [
            f"no price is known for {target}; calls of it are refused. Give prices under "
            "`providers.NAME.models.MODEL.prices`, or a flat one with `unknown_price`"
            for target in unpriced_targets(content.providers, content.models, services.clock.now())
        ]
    return warnings
