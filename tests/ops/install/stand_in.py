"""A program in the place of terraform, gcloud, gh and git: it plays a small world, which is a file.

It counts its calls. At the one that STAND_IN_AT names it fails before it has done anything (STAND_IN_MODE=fail), or
kills the installer after it has done everything (kill). It is started hundreds of times, so it imports only what is
built into the interpreter: `json` and `subprocess` alone would take three quarters of its time.
"""

import marshal
import os
import sys

PATH = os.environ["STAND_IN_WORLD"]
KILL = 9
NAME, ARGUMENTS = sys.argv[1], sys.argv[2:]
PROJECT, REPOSITORY = "acme-sluice-dev", "acme/sluice"
OUTPUTS = {
    "project": PROJECT,
    "region": "europe-west1",
    "service_name": "sluice",
    "ingest_service_name": "",
    "image_repository": "eu/acme/sluice",
    "deploy_identity": "sluice-deploy@acme",
    "api_audience": "acme/sluice",
}
FIRST_OUTPUTS = {
    "apply_identity": "apply@acme",
    "workload_identity_provider": "pools/github",
    "plan_identity": "plan@acme",
}


def read(path: str) -> bytes:
    """Return what a file holds."""
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is slow to import
        return file.read()


def write(path: str, data: bytes) -> None:
    """Replace what a file holds."""
    with open(path, "wb") as file:  # noqa: PTH123 - as above
        file.write(data)


def in_json(value: object) -> str:
    """Return a value as JSON."""
    import json  # noqa: PLC0415 - few calls print JSON

    return json.dumps(value)


def refuse(why: str) -> None:
    """End with an error."""
    sys.stderr.write(f"{why}\n")
    sys.exit(1)


def option(name: str) -> str:
    """Return the value of `--name value` or `-name=value`."""
    for at, argument in enumerate(ARGUMENTS):
        if argument.startswith(f"{name}="):
            return argument.partition("=")[2]
        if argument == name:
            return ARGUMENTS[at + 1]
    return ""


def terraform(world: dict) -> str:  # type: ignore[type-arg]
    """Play terraform."""
    folder = ARGUMENTS[0].partition("=")[2]
    verb = ARGUMENTS[1]
    if folder.endswith("/bootstrap"):
        return bootstrap(world, folder, verb)
    if verb == "init" and not world["bucket"]:
        refuse("the bucket of the state does not exist")
    if verb == "apply":
        text = read(f"{folder}/{option('-var-file')}").decode()
        apply(world, text)
        world["protected"] = "-var=deletion_protection=false" not in ARGUMENTS
    if verb == "destroy":
        if world["protected"] or world["variables"].get("ENVIRONMENTS", "[]") != "[]":
            refuse("protected, or a workflow would create it again")
        world.update(applied=False, samples=[], pushes=False)
    if verb == "providers":
        write(f"{folder}/.terraform.lock.hcl", b"provider\n")
    if verb == "output":
        if "-raw" in ARGUMENTS:
            return "on" if world["pushes"] else "off"
        return in_json({name: {"value": value} for name, value in OUTPUTS.items()})
    return ""


def bootstrap(world: dict, folder: str, verb: str) -> str:  # type: ignore[type-arg]
    """Play terraform in bootstrap/, whose state is a file."""
    if verb == "apply":
        state = f"{folder}/{option('-state')}"
        if world["bucket"] and not os.path.exists(state):  # noqa: PTH110 - as above
            refuse("a bucket with this name exists already")
        world["bucket"] = True
        write(state, b"state\n")
    if verb == "output":
        return in_json({name: {"value": value} for name, value in FIRST_OUTPUTS.items()})
    return ""


def apply(world: dict, tfvars: str) -> None:  # type: ignore[type-arg]
    """Apply the variables; a service that is new runs the sample."""
    if not world["applied"]:
        world.update(applied=True, samples=["sluice-00001-aaa"])
    world["pushes"] = "pushes = true" in tfvars
    if world["pushes"] and world["samples"]:
        world["lost"] = True  # the sample acknowledges what is pushed


def gcloud(world: dict) -> str:  # type: ignore[type-arg]
    """Play gcloud."""
    verb = " ".join(ARGUMENTS[:3])
    objects = world["objects"]
    if verb.startswith("services enable"):
        world["apis"] = sorted({*world["apis"], *(each for each in ARGUMENTS if each.endswith("googleapis.com"))})
    elif verb.startswith("projects describe"):
        return "100000000042"
    elif verb.startswith("storage ls"):
        place = ARGUMENTS[2]
        if not (world["bucket"] and (place.count("/") == 2 or place in objects)):
            refuse("not found")
    elif verb.startswith("storage cp"):
        source, target = ARGUMENTS[2:4]
        if target.startswith("gs://"):
            objects[target] = read(source).decode()
        else:
            write(target, objects[source].encode())
    elif verb == "run revisions list":
        return "\n".join(world["samples"])
    elif verb == "run revisions delete":
        if not world["deployed"]:
            refuse("the revision has traffic")
        world["samples"].remove(ARGUMENTS[3])
    return ""


def gh(world: dict) -> str:  # type: ignore[type-arg]
    """Play gh, and the workflows of GitHub."""
    verb = " ".join(ARGUMENTS[:2])
    if verb == "repo view":
        return REPOSITORY
    if verb == "variable set":
        world["variables"][ARGUMENTS[2] + (f" of {option('--env')}" if option("--env") else "")] = option("--body")
    elif verb == "variable list":
        return in_json([{"name": name, "value": value} for name, value in world["variables"].items()])
    elif verb == "run list":
        commit = option("--commit")
        runs = world["runs"]
        if commit not in runs and git_head() == commit:
            runs[commit] = ""
        return in_json([{"databaseId": f"run-{commit}", "conclusion": runs[commit]}] if commit in runs else [])
    elif verb == "run rerun":
        world["runs"][ARGUMENTS[2].removeprefix("run-")] = ""
    elif verb == "run watch":
        return workflow(world, ARGUMENTS[2].removeprefix("run-"))
    elif ARGUMENTS[0] == "api":
        return api(world)
    return ""


def api(world: dict) -> str:  # type: ignore[type-arg]
    """Play `gh api`."""
    path = next(each for each in ARGUMENTS if each.startswith(("repos/", "users/")))
    if "PUT" in ARGUMENTS:
        import json  # noqa: PLC0415 - as above

        world["environment"] = json.loads(sys.stdin.read())
    elif path.endswith("deployment-branch-policies"):
        if "-f" not in ARGUMENTS:
            return "\n".join(world["branches"])
        if option("-f") in (f"name={each}" for each in world["branches"]):
            refuse("HTTP 303")
        world["branches"].append(option("-f").removeprefix("name="))
    elif path.startswith("users/"):
        return "7"
    else:
        return "4242"
    return ""


def workflow(world: dict, commit: str) -> str:  # type: ignore[type-arg]
    """Play infra.yml and deploy.yml for a commit."""
    if world["failing_runs"]:
        world["failing_runs"] -= 1
        world["runs"][commit] = "failure"
        return "failed"
    variables = real_git("show", f"{commit}:infra/terraform/environments/dev.tfvars")
    apply(world, variables)
    world["deployed"] = True
    world["runs"][commit] = "success"
    return ""


def git_head() -> str:
    """Return the commit that was pushed."""
    return real_git("ls-remote", "origin", "refs/heads/develop").partition("\t")[0]


def real_git(*arguments: str) -> str:
    """Run git itself."""
    import subprocess  # noqa: PLC0415 - few calls ask git

    git = os.environ["STAND_IN_GIT"]
    return subprocess.run([git, *arguments], capture_output=True, text=True, check=False).stdout


def main() -> None:
    """Make one call."""
    world = marshal.loads(read(PATH))  # noqa: S302 - this test's own file
    world["calls"].append([NAME, *ARGUMENTS])
    is_due = len(world["calls"]) == int(os.environ.get("STAND_IN_AT", "0"))
    if is_due and os.environ["STAND_IN_MODE"] == "fail":
        write(PATH, marshal.dumps(world))
        refuse("failed on purpose")
    status, said = 0, ""
    try:
        if NAME == "git":
            git = os.environ["STAND_IN_GIT"]
            status = os.spawnv(os.P_WAIT, git, [git, *ARGUMENTS])  # noqa: S606 - git needs no shell
        elif NAME != "preflight":
            said = {"terraform": terraform, "gcloud": gcloud, "gh": gh}[NAME](world)
    finally:
        write(PATH, marshal.dumps(world))
        if is_due:
            os.kill(os.getppid(), KILL)
    sys.stdout.write(said)
    sys.exit(1 if said == "failed" else status)


if __name__ == "__main__":
    main()
