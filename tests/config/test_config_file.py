"""What is wrong in a file is said with its place, its value and the next step."""

from __future__ import annotations

import pytest

from airside.config.file import Known, ParsedFile, check_references, parse_file
from airside.errors import BadConfig

GOOD = """\
project: payments
providers:
  anthropic: {protocol: anthropic, credential: env:ANTHROPIC_API_KEY}
  local: {protocol: openai-chat, base_url: "http://127.0.0.1:8000/v1"}
models:
  coder:
    route:
      - to: [anthropic/claude-opus-5-5]
  quick: local/qwen3
environments:
  sandboxed: {sandbox: bubblewrap, network: {allow: []}}
agents:
  nightly-fixer:
    harness: claude-code
    model: coder
    environment: sandboxed
    system: You fix failing tests.
    tools:
      builtin: {read: allow, edit: allow, bash: allow}
budgets:
  - {scope: "agent:nightly-fixer", limit_usd: 5.00, window: day, on_limit: park}
"""


def refusal(text: str) -> BadConfig:
    with pytest.raises(BadConfig) as raised:
        check(parse_file(text, "airside.yaml"))
    return raised.value


def problems(text: str) -> str:
    return str(refusal(text))


def check(parsed: ParsedFile) -> None:
    content = parsed.content
    known = Known(content.providers, content.models, content.environments, content.agents)
    check_references(parsed, known)


def test_the_file_of_the_design_is_taken() -> None:
    parsed = parse_file(GOOD, "airside.yaml")
    check(parsed)
    assert parsed.content.models["quick"].targets == [("local", "qwen3")]
    assert parsed.content.providers["anthropic"].url == "https://api.anthropic.com"


def test_an_empty_file_asks_for_nothing() -> None:
    check(parse_file("", "airside.yaml"))
    check(parse_file("# nothing\n", "airside.yaml"))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("    harness: claude-code", "    harness: cloud-code"), "airside.yaml:14: agents.nightly-fixer.harness: "),
        (("    model: coder", "    model: codr"), "airside.yaml:15: agent 'nightly-fixer' uses model 'codr'"),
        (("    system:", "    sistem:"), "airside.yaml:17: agents.nightly-fixer.sistem: there is no such field"),
        (("environment: sandboxed", "environment: box"), "airside.yaml:16: agent 'nightly-fixer' runs in"),
        (("to: [anthropic/", "to: [antropic/"), "airside.yaml:7: model 'coder' goes to antropic/claude-opus-5-5"),
        (("agent:nightly-fixer", "agent:nobody"), "airside.yaml:21: a budget limits agent 'nobody'"),
        (("window: day", "window: fortnight"), "airside.yaml:21: budgets.0.window: "),
        (("agent:nightly-fixer", "model:codr"), "airside.yaml:21: a budget limits model 'codr'"),
        (("agent:nightly-fixer", "provider:antropic"), "airside.yaml:21: a budget limits provider 'antropic'"),
        (("on_limit: park", "on_limit: downgrade"), "airside.yaml:21: budgets.0: `on_limit: downgrade` and `downgrade"),
        (
            ("on_limit: park", "on_limit: downgrade, downgrade_to: smal"),
            "airside.yaml:21: a budget downgrades to model 'smal'",
        ),
        (("bash: allow", "bash: ask"), "airside.yaml:19: agents.nightly-fixer.tools.builtin: nobody can be asked"),
        (("allow: []", "allow: [example.com]"), "airside.yaml:11: environments.sandboxed.network: sandboxes have no"),
        (("to: [anthropic/claude-opus-5-5]", "to: [claude-opus-5-5]"), "airside.yaml:8: models.coder.route.0.to: "),
        (("http://127.0.0.1:8000/v1", "ftp://x"), "airside.yaml:4: providers.local.base_url: a base URL starts with"),
    ],
)
def test_a_mistake_is_named_with_its_line(change: tuple[str, str], expected: str) -> None:
    assert expected in problems(GOOD.replace(*change))


def test_what_was_made_by_api_is_not_looked_for_in_the_file() -> None:
    made = parse_file(GOOD, "airside.yaml").content
    parsed = parse_file("# two\n# lines\n", "airside.yaml")
    with pytest.raises(BadConfig) as refused:
        check_references(parsed, Known({}, {"coder": made.models["coder"]}, {}, made.agents))
    by_api = "which was made by API and not by this file,"
    coder, fixer = (f"airside.yaml: {name}, {by_api}" for name in ("model 'coder'", "agent 'nightly-fixer'"))
    assert refused.value.message.splitlines() == [
        f"{coder} goes to anthropic/claude-opus-5-5, but there is no provider 'anthropic'",
        f"{fixer} runs in environment 'sandboxed', which is not defined",
    ]
    assert "Or change the agent by API first." in str(refused.value.hint)


def test_limits_of_one_scope_differ_by_their_window() -> None:
    second = '  - {scope: "agent:nightly-fixer", limit_usd: 50, window: month}\n'
    check(parse_file(GOOD + second, "airside.yaml"))
    assert "has a second budget in the same window" in problems(GOOD + second.replace("month", "day"))
    limits = GOOD + 'rate_limits:\n  - {scope: "team:core", requests: 60}\n  - {scope: "user:*", concurrent: 2}\n'
    check(parse_file(limits, "airside.yaml"))
    assert "airside.yaml:23: a rate limit is on agent 'nobody'" in problems(limits.replace("team:core", "agent:nobody"))
    assert "a rate limit needs at least one of" in problems(limits.replace(", requests: 60", ""))


def test_a_near_miss_is_suggested() -> None:
    assert "Did you mean 'coder'?" in problems(GOOD.replace("    model: coder", "    model: codr"))
    assert "Did you mean 'system'?" in problems(GOOD.replace("    system:", "    sistem:"))


def test_every_problem_is_reported_at_once() -> None:
    text = GOOD.replace("    model: coder", "    model: codr").replace("agent:nightly-fixer", "agent:nobody")
    assert refusal(text).message.count("airside.yaml:") == 2


def test_each_of_several_hints_says_what_it_is_for() -> None:
    text = GOOD.replace("    model: coder", "    model: codr").replace("agent:nightly-fixer", "agent:nobody")
    hint = refusal(text).hint
    assert hint is not None
    assert [line.split(" ")[0] for line in hint.splitlines()] == ["airside.yaml:15:", "airside.yaml:21:"]
    assert "hint" not in refusal(text).message


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("agents:\n  a: [\n    b\n\nc: 1\n",
         "airside.yaml:5: this is no YAML: while parsing a flow sequence that begins on line 2",
         "Close the [ of line 2 with ]"),
        ("a: {b: 1\n\n", "airside.yaml:3: this is no YAML: while parsing a flow mapping that begins on line 1",
         "Close the { of line 1 with }"),
        ("a: 'x\nb: 1\n", "airside.yaml:3: ", "Close the quotation mark of line 1."),
        ("a:\n\t- b\n", "airside.yaml:2: ", "Indent with spaces"),
        ("a: b: c\n", "airside.yaml:1: ", "Put text that holds a colon in quotation marks"),
        ("a:\n  b: 1\n c: 2\n", "airside.yaml:3: ", "indented alike"),
        ("a: 1\nb: \x07\n", "airside.yaml:2: this is no YAML: the character U+0007", "UTF-8"),
    ],
)  # fmt: skip
def test_text_that_is_no_yaml_is_refused_with_what_to_mend(text: str, said: str, hint: str) -> None:
    error = refusal(text)
    assert error.message.startswith(said)
    assert hint in str(error.hint)


def test_a_secret_in_the_file_is_refused_and_not_repeated() -> None:
    said = problems(GOOD.replace("env:ANTHROPIC_API_KEY", "sk-ant-secret"))
    assert "airside.yaml:3" in said
    assert "never the secret itself" in said
    assert "sk-ant-secret" not in said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agents:\n  a: [\n", "airside.yaml:3: this is no YAML"),
        ("a: 1\na: 2\n", "airside.yaml:2: 'a' stands here a second time"),
        ("- a\n- b\n", "airside.yaml:1: the file is no mapping"),
        ("agents: {a: {harness: codex}}\n", "airside.yaml:1: agents.a.model: field required"),
        ("agents: !!python/object:os.system {}\n", "airside.yaml:1: the tag tag:yaml.org,2002:python"),
        ("agent: 1\n", "Did you mean 'agents'?"),
        ("x: 2026-13-45\n", "airside.yaml:1: '2026-13-45' cannot be read"),
        ("\x00", "this is no YAML"),
    ],
)
def test_text_that_is_no_configuration_is_refused(text: str, expected: str) -> None:
    assert expected in problems(text)
    assert refusal(text).hint


def test_a_file_that_explodes_is_refused() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
    for previous, name in zip("abcdefg", "bcdefgh", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{previous}'] * 10)}]\n"
    assert "expands to more than" in problems(bomb)
