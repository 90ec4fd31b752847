"""Approvals and questions: what is covered can be shown, somebody can answer in time, and silence means something."""

from __future__ import annotations

import pytest

from tests.language.checked import codes, errors, found, inside, only, steps, told

LOOK = '- id: look\n  action: intel.lookup_ip\n  with: {ip: "{{ alert.source.ip }}"}\n'
BLOCK = '- id: block\n  action: firewall.block_ip\n  with: {ip: "{{ alert.source.ip }}"}\n  for: 1h\n'
OUT = '- id: out\n  action: identity.end_sessions\n  with: {account: "{{ alert.user.name }}"}\n'
FIELDS = "{verdict: [good, bad], score: {type: number, optional: true}}"


def sure(covers: str = "block", more: str = "") -> str:
    return f'- id: sure\n  approval: {{ask: "Sure?", covers: [{covers}]{more}}}\n'


def asked(more: str = "", fields: str = FIELDS) -> str:
    return f'- id: asked\n  ask: {{text: "Which?", by: {{group: soc}}, fields: {fields}{more}}}\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (sure("blok") + BLOCK, "no step has the id `blok`; did you mean `block`?"),
        (BLOCK + sure(), "`block` runs before it is asked about; move the approval up"),
        (sure("look") + LOOK, "`look` only reads; nobody has to approve that"),
        (sure("block, block") + BLOCK, "`block` is covered twice"),
        (sure() + sure().replace("sure", "surer") + BLOCK, "`block` is covered twice"),
        (sure("all") + f"- id: all\n  do:\n{inside(BLOCK)}", "`all` is no action; an approval covers what is sent"),
        (sure("sure") + BLOCK, "`sure` is no action"),
        (f"- parallel:\n{inside(sure() + BLOCK)}", "`block` runs beside the approval, in another branch"),
        (f"- if: alert.host\n  then:\n{inside(sure())}  else:\n{inside(BLOCK)}", "stands in another branch"),
        (sure() + f"{LOOK}  on_error:\n{inside(BLOCK)}", "`block` stands in an `on_error`"),
        (sure() + f"- repeat:\n    until: alert.host\n    times: 2\n    steps:\n{inside(BLOCK, 6)}", "in a `repeat`"),
        (f"- for_each:\n    items: [1]\n    steps:\n{inside(sure(), 6)}{BLOCK}", "`block` stands outside the loop"),
    ],
)
def test_an_approval_covers_later_actions_that_it_can_show(text: str, says: str) -> None:
    """Wherever the action stands, it is said why it cannot be decided about from here."""
    assert any(says in told(one) for one in found(steps(text)) if one.code in ("covers", "unknown_step"))


def test_an_approval_with_the_id_of_what_it_covers_is_no_riddle() -> None:
    """Two steps of one id, and one finding for each that is wrong."""
    assert "checker" not in codes(steps(sure().replace("id: sure", "id: block") + BLOCK))


def test_what_the_card_shows_is_known_when_it_is_asked() -> None:
    """Neither a later step, nor a later variable, in what is sent or in what decides whether it is reached."""
    late = BLOCK.replace('"}', '", reason: "score {{ steps.look.output.score }}"}')
    assert codes(steps(LOOK + sure() + late)) == []
    early = only(steps(sure() + LOOK + late))
    assert (early.code, early.hint) == ("covers", "move the approval below `look`")
    with_variable = BLOCK.replace('"}', '", reason: "{{ vars.x }}"}')
    assert codes(steps(sure() + "- set: {x: a}\n" + with_variable)) == ["covers"]
    assert codes(steps(sure() + LOOK + f"{BLOCK}  when: steps.look.output.score > 5\n")) == ["covers"]
    branch = f"- if: steps.look.ok\n  then:\n{inside(BLOCK)}"
    assert codes(steps(sure() + LOOK + branch)) == ["covers"]
    assert codes(steps(LOOK + sure() + branch)) == []


def test_an_action_in_a_later_loop_is_covered_for_all_its_items() -> None:
    """What the loop collects need not be known, only what it goes over; and one inside it covers its own item."""
    loop = (
        "- for_each:\n    items: alert.observables | of_type('ip')\n    as: one\n    collect: '{{ steps.block.ok }}'\n"
        f"    steps:\n{inside(BLOCK.replace('alert.source.ip', 'one'), 6)}"
    )
    assert codes(steps(sure() + loop)) == []
    assert codes(steps(f"- for_each:\n    items: [1]\n    steps:\n{inside(sure() + BLOCK, 6)}")) == []


def test_an_approval_after_a_failure_covers_what_comes_later_there() -> None:
    """Not what is on the other side of it."""
    after = f"on_failure:\n{inside(sure() + BLOCK, 2)}"
    assert codes(steps(LOOK) + after) == []
    assert "the other side" in only(steps(BLOCK) + f"on_failure:\n{inside(sure(), 2)}").message
    assert "the other side" in only(steps(sure()) + f"on_failure:\n{inside(BLOCK, 2)}").message


def test_somebody_can_answer_in_time() -> None:
    """Reminders and further people come before the question ends; one named person is one."""
    assert codes(steps(sure(more=", within: 1h, remind: 10m, escalate: {after: 20m, group: lead}") + BLOCK)) == []
    assert "nobody is reminded" in only(steps(sure(more=", within: 1h, remind: 1h") + BLOCK)).message
    late = ", within: 1h, escalate: {after: 2h, group: a}"
    assert "nobody else is asked" in only(steps(sure(more=late) + BLOCK)).message
    two = ", by: {group: soc, count: 2, user: '{{ alert.user.name }}'}"
    assert "one person is named" in only(steps(sure(more=two) + BLOCK)).message
    assert "needs a `group`" in only(steps(sure(more=", by: {user: a}") + BLOCK)).message
    assert codes(steps(asked(", within: 5m, remind: 10m"))) == ["people"]
    assert "one answer is taken" in only(steps(asked().replace("group: soc", "group: soc, count: 2"))).message


def test_the_requester_is_not_the_only_one_who_may_answer_where_that_does_not_count() -> None:
    """Nobody could answer, ever; unless the author says that it counts."""
    by = "by: {group: soc, user: '{{ run.requester | default(\"somebody\") }}'%s}"
    asking = asked().replace("by: {group: soc}", by)
    assert only(steps(asking % "")).message == "only who has started the run may answer, and does not count"
    assert codes(steps(asking % ", distinct: false")) == []
    assert codes(steps(asking.replace("run.requester", "alert.user.name") % "")) == []


def test_silence_approves_only_what_can_be_undone_and_one_person_decides() -> None:
    """It never takes the place of two people, nor sends what stays."""
    assert codes(steps(sure(more=", otherwise: approve") + BLOCK)) == []
    assert codes(steps(sure("out", ", otherwise: approve") + OUT)) == ["people"]
    assert codes(steps(sure(more=", by: {group: a, count: 2}, otherwise: approve") + BLOCK)) == ["people"]


def test_silence_of_a_question_is_an_answer_that_fits() -> None:
    """Every field that is needed, each of its type; or the step fails."""
    assert codes(steps(asked(", otherwise: {verdict: good}"))) == []
    assert codes(steps(asked(", otherwise: fail"))) == []
    assert "silence has to mean something for `verdict` too" in only(steps(asked(", otherwise: {score: 5}"))).message
    assert "did you mean `good`?" in told(only(steps(asked(", otherwise: {verdict: god}"))))
    assert codes(steps(asked(", otherwise: {verdict: good, scroe: 1}"))) == ["unknown_key"]
    assert codes(steps(asked(", otherwise: {verdict: good, score: high}"))) == ["value"]


def test_the_fields_of_a_question_have_types_that_there_are() -> None:
    """And names that are not those of what every answer says."""
    good = "{a: number, b: [x, y], c: {list: address}, d: {type: text, optional: true}}"
    assert codes(steps(asked(fields=good))) == []
    assert "did you mean `number`" in told(only(steps(asked(fields="{a: numbr}"))))
    assert "say one of `type`, `choice`, `list`" in only(steps(asked(fields="{a: {label: what}}"))).message
    for name in ("by", "at", "trust"):
        assert f"`{name}` is said of every answer" in only(steps(asked(fields=f"{{{name}: text}}"))).message


def test_an_answer_has_the_types_of_its_fields_in_later_steps() -> None:
    """A field that may be left out may be absent, and a word that is none of the choice never comes."""
    use = "- stop: success\n  message: '{{ %s }}'\n"
    assert codes(steps(asked() + use % "steps.asked.output.verdict")) == []
    assert codes(steps(asked() + use % "steps.asked.output.verdit")) == ["type"]
    assert codes(steps(asked() + use % "steps.asked.output.score")) == ["may_be_absent"]
    for wrong in ('verdict == "godo"', 'trust == "sigend"'):
        assert codes(steps(f"{asked()}- when: steps.asked.output.{wrong}\n  stop: success")) == ["type"]


def test_an_answer_that_nobody_verified_opens_no_way_to_what_cannot_be_undone() -> None:
    """A warning: look at its trust, or let an approval decide."""
    out = f"{OUT}  unattended: true\n"
    bad = 'steps.asked.output.verdict == "bad"'
    trust = only(steps(asked() + f"{out}  when: {bad}\n"))
    assert (trust.code, trust.level) == ("trust", "warning")
    assert "steps.asked.output.trust" in trust.hint
    assert codes(steps(asked() + f'{out}  when: {bad} and steps.asked.output.trust == "signed"\n')) == []
    assert codes(steps(asked() + sure("out") + f"{OUT}  when: {bad}\n")) == []
    branch = (
        f"- switch: steps.asked.output.verdict\n  cases:\n    bad:\n{inside(out, 6)}    good: [{{stop: success}}]\n"
    )
    assert codes(steps(asked() + branch)) == ["trust"]
    assert errors(steps(asked() + branch)) == []


def test_a_question_is_put_to_the_soc_or_to_somebody_outside() -> None:
    """Not to both; and the address is surely there."""
    both = asked().replace("by: {group: soc}", "by: {group: soc}, to: {mail: a@b.example}")
    assert "one of them" in only(steps(both)).message
    outside = asked().replace("by: {group: soc}", 'to: {mail: "{{ alert.user.mail }}"}')
    assert codes(steps(outside)) == ["may_be_absent"]
    assert codes(steps(f"{outside}  when: alert.user.mail is defined\n")) == []


def test_a_question_of_one_value_is_written_out_whatever_it_is() -> None:
    """A number is shown as it is; what may be absent cannot be."""
    number = asked().replace('"Which?"', '"{{ alert.observables | length }}"')
    assert codes(steps(number)) == []
    assert codes(steps(asked().replace('"Which?"', '"{{ alert.case }}"'))) == ["may_be_absent"]
