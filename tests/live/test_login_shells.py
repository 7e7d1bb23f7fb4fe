"""The same sessions in every login shell, on all of them at once."""

from __future__ import annotations

import pytest

from live.driver import Driver

ALL = ("bash", "dash", "ash", "zsh", "mksh", "fish", "tcsh")
#: tcsh has another grammar, and no continuation of a line with an open quote.
POSIX = ALL[:-1]


def each(value: object, names: tuple[str, ...] = ALL) -> dict[str, object]:
    return dict.fromkeys(names, value)


@pytest.mark.parametrize(("line", "status"), [("true", 0), ("false", 1), ("(exit 42)", 42)])
def test_the_exit_status_is_the_lines(shells: Driver, line: str, status: int) -> None:
    run = shells.run(line)
    assert shells.statuses(run) == each(status)
    assert shells.outputs(run) == each("")
    assert run.status == status


def test_a_command_that_does_not_exist(shells: Driver) -> None:
    run = shells.run("nosuchcommand")
    assert shells.statuses(run) == {**each(127), "tcsh": 1}
    assert all("nosuchcommand" in output for output in shells.outputs(run).values())


def test_the_directory_and_the_environment_stay(shells: Driver) -> None:
    shells.run("cd /usr/lib")
    assert shells.outputs(shells.run("pwd")) == each("/usr/lib\n")
    assert {shells.link(name).directory for name in ALL} == {b"/usr/lib"}
    shells.run("export KEPT=kept", *POSIX)
    shells.run("setenv KEPT kept", "tcsh")
    assert shells.outputs(shells.run("env | grep ^KEPT")) == each("KEPT=kept\n")


def test_functions_and_aliases_stay(shells: Driver) -> None:
    shells.run("twice() { echo $1 $1; }", *POSIX)
    shells.run("alias twice 'echo \\!:1 \\!:1'", "tcsh")
    assert shells.outputs(shells.run("twice a")) == each("a a\n")


@pytest.mark.parametrize(
    ("line", "output"),
    [
        ("echo one; echo two", "one\ntwo\n"),
        ("printf foo", "foo"),
        ("printf 'a\\n\\nb\\n'", "a\n\nb\n"),
        ("echo '  spaces  '", "  spaces  \n"),
        ("echo hé 日本", "hé 日本\n"),
        ("# a comment", ""),
        ("", ""),
        ("printf '10%%\\r20%%\\rdone\\n'", "done\n"),
        ("printf '\\033[31mred\\033[m\\033]0;title\\007\\033[2J\\n'", "\x1b[31mred\x1b[m\n"),
        ("printf 'bad \\377\\n'", "bad \ufffd\n"),
        ("seq 3 | tail -n 1", "3\n"),
        ("echo a\necho b\necho c", "a\nb\nc\n"),
    ],
)
def test_the_output_is_exactly_what_the_program_prints(
    shells: Driver, line: str, output: str
) -> None:
    names = [name for name in ALL if name != "tcsh" or not line.startswith("#")]
    run = shells.run(line, *names)
    assert shells.outputs(run) == each(output, tuple(names))
    assert shells.statuses(shells.run("true")) == each(0)


def test_a_heredoc_arrives_whole(shells: Driver) -> None:
    text = "".join(f"line {i} with 'quotes\"\n" for i in range(200)) + "\n\ttabs\n"
    run = shells.run(f"cat <<EOF\n{text}EOF")
    assert shells.outputs(run) == each(text)
    assert shells.statuses(run) == each(0)


def test_a_paste_of_many_commands_arrives_whole(shells: Driver) -> None:
    lines = [f"echo command {i}" for i in range(100)]
    run = shells.run("\n".join(lines))
    assert shells.outputs(run) == each("".join(f"command {i}\n" for i in range(100)))


def test_an_open_quote_goes_on_with_the_next_line(shells: Driver) -> None:
    first = shells.start("echo 'open", *POSIX)
    shells.state("unfinished", *POSIX)
    assert not first.done
    second = shells.run("shut'", *POSIX)
    assert first.done
    assert shells.outputs(second) == each("open\nshut\n", POSIX)


@pytest.mark.parametrize("line", ["echo 'open", "cat <<EOF", "if true; then", "echo a \\"])
def test_an_unfinished_line_can_be_given_up(shells: Driver, line: str) -> None:
    run = shells.start(line, *POSIX)
    shells.state("unfinished", *POSIX)
    shells.keys(b"\x03", *POSIX)
    shells.until(lambda: run.done)
    assert shells.statuses(run) == each(130, POSIX)
    assert shells.outputs(shells.run("echo next", *POSIX)) == each("next\n", POSIX)


def test_ctrl_c_ends_the_program_and_not_the_session(shells: Driver) -> None:
    run = shells.start("sh -c 'echo began; exec sleep 600'")
    shells.printed("began")
    shells.keys(b"\x03")
    shells.until(lambda: run.done)
    assert shells.statuses(run) == {**each(130), "tcsh": 1}
    assert shells.outputs(shells.run("echo next")) == each("next\n")


def test_ctrl_c_at_the_prompt_changes_nothing(shells: Driver) -> None:
    shells.keys(b"\x03")
    run = shells.run("echo next; (exit 7)")
    assert (shells.outputs(run), shells.statuses(run)) == (each("next\n"), each(7))


def test_ctrl_c_throws_away_what_was_typed_ahead(shells: Driver) -> None:
    first = shells.start("sh -c 'echo began; exec sleep 600'")
    shells.printed("began")
    second = shells.start("echo typed ahead")
    shells.keys(b"\x03")
    shells.until(lambda: first.done and second.done)
    assert "typed ahead" not in "".join(shells.outputs(second).values())
    assert shells.outputs(shells.run("echo next")) == each("next\n")


def test_lines_typed_ahead_have_each_its_own_status(shells: Driver) -> None:
    lines = ["sh -c 'sleep 1; echo late; exit 3'", "echo on; (exit 4)", "(exit 0)", "(exit 5)"]
    runs = [shells.start(line) for line in lines]
    shells.until(lambda: all(run.done for run in runs))
    assert [shells.statuses(run) for run in runs] == [each(3), each(4), each(0), each(5)]
    assert [shells.outputs(run) for run in runs[:2]] == [each("late\n"), each("on\n")]
    assert shells.outputs(shells.run("echo next")) == each("next\n")


def test_ctrl_d_ends_the_input_of_a_program(shells: Driver) -> None:
    run = shells.start("sh -c 'echo began; exec cat'")
    shells.printed("began")
    more = shells.start("some text")
    shells.printed("some text")
    shells.keys(b"\x04")
    shells.until(lambda: run.done and more.done)
    assert shells.statuses(run) == each(0)
    assert shells.outputs(shells.run("echo next")) == each("next\n")


def test_a_program_is_stopped_and_goes_on(shells: Driver) -> None:
    run = shells.start("sh -c 'echo began; read x; echo got $x'")
    shells.printed("began")
    shells.keys(b"\x1a")
    shells.until(lambda: run.done)
    assert shells.statuses(run) == {**each(148), "mksh": 0, "tcsh": 1, "ash": 148}
    assert shells.outputs(shells.run("echo prompt")) == each("prompt\n")
    run = shells.start("fg")
    answer = shells.run("it")
    assert run.done
    assert all("got it\n" in output for output in shells.outputs(answer).values())


def test_a_background_job_prints_later(shells: Driver) -> None:
    run = shells.run("sh -c 'while ! test -e go; do sleep 0.05; done; echo late; rm go' &")
    assert shells.statuses(run) == each(0)
    assert shells.outputs(shells.run("echo meanwhile")) == each("meanwhile\n")
    assert not any(b"late" in printed for printed in shells.events.printed.values())
    shells.run("touch go")
    shells.printed("late\n")
    shells.state("ready")
    assert b"leave shell" not in shells.events.printed["ash"]  # it takes the end for an input's
    run = shells.run("(exit 4)")
    assert shells.statuses(run) == each(4)


def test_nohup_survives_the_session(shells: Driver) -> None:
    loop = "while ! test -e go; do sleep 0.05; done"
    shells.run(f"nohup sh -c 'echo > begun; {loop}; echo kept > kept' > /dev/null &")
    # What is not nohup yet, but still the shell's own child, ends with it.
    shells.run("sh -c 'while ! test -s begun; do sleep 0.05; done; rm begun'")
    shells.coordinator.close(list(shells.nodes.values()))
    shells.coordinator.reconnect(list(shells.nodes.values()))
    shells.run("touch go; sh -c 'while ! test -s kept; do sleep 0.05; done'")
    assert shells.outputs(shells.run("cat kept; rm go kept")) == each("kept\n")


# --- programs that ask


def test_a_question_is_seen_and_answered(shells: Driver) -> None:
    run = shells.start("sh -c 'printf \"Continue? [Y/n] \"; read x; echo answer: $x; exit 3'")
    shells.state("waiting")
    assert {bytes(shells.events.printed[name]) for name in ALL} == {b"Continue? [Y/n] "}
    answer = shells.run("Y")
    assert run.done
    assert shells.outputs(answer) == each("answer: Y\n")
    assert shells.statuses(run) == shells.statuses(answer) == each(3)


def test_a_builtin_that_reads_is_answered(shells: Driver) -> None:
    run = shells.start("printf 'name: '; read x", *POSIX)
    shells.state("waiting", *POSIX)
    shells.run("it", *POSIX)
    assert run.done
    assert shells.outputs(shells.run("echo $x", *POSIX)) == each("it\n", POSIX)


def test_a_secret_is_not_shown(shells: Driver) -> None:
    ask = "stty -echo; printf Password:; read x; stty echo; echo; echo length ${#x}"
    run = shells.start(f"sh -c '{ask}'")
    shells.state("waiting")
    answer = shells.run("hunter2")
    assert run.done
    assert shells.outputs(answer) == each("\nlength 7\n")
    assert not any(b"hunter2" in printed for printed in shells.events.printed.values())


def test_python_goes_in_and_out(shells: Driver) -> None:
    run = shells.start("python3 -q")
    shells.state("waiting")
    assert {bytes(shells.events.printed[name]) for name in ALL} == {b">>> "}
    shells.start("print(6 * 7)")
    shells.printed("42\n")
    shells.state("waiting")
    last = shells.run("raise SystemExit(5)")
    assert run.done
    assert shells.statuses(last) == each(5)
    assert shells.outputs(shells.run("echo back")) == each("back\n")


def test_a_shell_in_the_shell_takes_lines_until_it_ends(shells: Driver) -> None:
    run = shells.start("env PS1='inner> ' sh")
    shells.state("waiting")
    shells.start("cd /usr; pwd")
    shells.printed("/usr\n")
    last = shells.run("exit 6")
    assert run.done
    assert shells.statuses(last) == each(6)
    assert "/usr" not in {shells.link(name).directory.decode() for name in ALL}


# --- lines that are long


def test_a_long_line_is_delivered_whole(shells: Driver) -> None:
    text = "".join(f"{i:08}" for i in range(500))
    run = shells.run(f"echo {text}")
    assert shells.outputs(run) == each(f"{text}\n")
    run = shells.run(f"cat <<EOF\n{text}\n{text}\nEOF", *POSIX)
    assert shells.outputs(run) == each(f"{text}\n{text}\n", POSIX)
    assert shells.statuses(shells.run("(exit 7)")) == each(7)


def test_a_line_too_long_is_refused_by_name_and_nothing_runs(shells: Driver) -> None:
    for line in ("touch made; : " + "x" * 5000, "touch made\n: " + "x" * 5000):
        run = shells.run(line)
        errors = {result.error for result in run.results.values()}
        assert len(errors) == 1
        assert "longer than a terminal there takes" in errors.pop()
        assert run.status == 1
    assert shells.statuses(shells.run("test -e made")) == each(1)
    assert {shells.link(name).state for name in ALL} == {"ready"}


def test_a_long_answer_reaches_the_program(shells: Driver) -> None:
    run = shells.start("head -n 1 | wc -c")
    shells.quiet(0.1)
    answer = shells.run("x" * 4000)
    assert run.done
    assert {output.strip() for output in shells.outputs(answer).values()} == {"4001"}


# --- what could break the marks


def test_the_prompt_may_be_changed_by_a_command(shells: Driver) -> None:
    names = ("bash", "fish", "zsh")
    shells.run("PS1='mine> '; PS2='more> '", *names)
    run = shells.run("echo 'a\nb'; (exit 8)", *names)
    assert (shells.outputs(run), shells.statuses(run)) == (each("a\nb\n", names), each(8, names))


def test_marks_of_another_session_are_text(shells: Driver) -> None:
    line = "printf '\\033]7770;0123456789abcdef;P;9;/\\007text\\033]7770;x;C;0\\007\\n' > marks"
    shells.run(line)
    run = shells.run("cat marks; rm marks")
    assert (shells.outputs(run), shells.statuses(run)) == (each("text\n"), each(0))


@pytest.mark.parametrize(
    "line", ["reset", "stty sane", "stty echo", "clear", "tput init", "printf '\\033c\\033[?1049h'"]
)
def test_programs_that_change_the_terminal_leave_the_session_whole(
    shells: Driver, line: str
) -> None:
    """At most the next line is echoed; the one after it never is."""
    shells.run(line)
    first = shells.run("echo first; (exit 2)")
    assert shells.statuses(first) == each(2)
    assert {output.split("\n")[-2] for output in shells.outputs(first).values()} == {"first"}
    second = shells.run("echo second")
    assert (shells.outputs(second), shells.statuses(second)) == (each("second\n"), each(0))


def test_a_line_sent_while_the_echo_is_switched_off_waits_its_turn(shells: Driver) -> None:
    shells.run("stty echo")
    first = shells.start("echo first")
    # sent in the moment in which the session has its own line to type
    shells.until(lambda: first.done)
    second = shells.start("sleep 0.2; (exit 9)")
    assert {shells.link(name).state for name in ALL} == {"busy"}
    shells.until(lambda: second.done)
    assert shells.statuses(second) == each(9)
    assert shells.outputs(shells.run("echo third")) == each("third\n")


# --- ends


def test_exit_ends_the_session_with_its_status(shells: Driver) -> None:
    run = shells.run("exit 3")
    assert shells.statuses(run) == each(3)
    assert run.status == 3
    shells.state("down")
    assert {shells.link(name).reason for name in ALL} == {"logged out (exit 3)"}


def test_a_program_in_place_of_the_shell_ends_the_session(shells: Driver) -> None:
    run = shells.run("exec sh -c 'echo instead; exit 5'")
    shells.state("down")
    assert (shells.outputs(run), shells.statuses(run)) == (each("instead\n"), each(5))


def test_a_failure_under_set_e_is_told(shells: Driver) -> None:
    shells.run("set -e", *POSIX)
    assert shells.statuses(shells.run("echo fine", *POSIX)) == each(0, POSIX)
    run = shells.run("false", *POSIX)
    assert shells.statuses(run) == each(1, POSIX)
    shells.state("down", *POSIX)
    assert {shells.link(name).reason for name in POSIX} == {"logged out (exit 1)"}
    assert shells.link("tcsh").state == "ready"


def test_reconnect_says_that_the_directory_is_gone(shells: Driver) -> None:
    shells.run("mkdir gone; cd gone; rmdir ../gone", *ALL)
    where = {name: shells.link(name).directory.decode() for name in ALL}
    nodes = shells.of(ALL)
    shells.coordinator.close(nodes)
    assert shells.coordinator.reconnect(nodes) == nodes
    shells.state("ready", *ALL)
    for name, gone in where.items():
        there = shells.link(name).directory.decode()
        assert there != gone
        told = f"cannot go back to {gone}: it is in {there}"
        assert shells.events.notes[name][-1:] == [told]


@pytest.mark.parametrize(
    "directory", ["plain", "with  space", 'it\'s "quoted" $HOME', "new\nline", "é"]
)
def test_reconnect_goes_back_to_the_directory(shells: Driver, directory: str) -> None:
    names = ALL if "\n" not in directory else POSIX  # csh takes no newline in a word
    quoted = "'" + directory.replace("'", "'\\''") + "'"
    shells.run(f"mkdir -p {quoted}; cd {quoted}", *names)
    where = {name: shells.link(name).directory for name in names}
    assert all(path.endswith(f"/{directory}".encode()) for path in where.values())
    nodes = shells.of(names)
    shells.coordinator.close(nodes)
    assert shells.coordinator.reconnect(nodes) == nodes
    shells.state("ready", *names)
    assert {name: shells.link(name).directory for name in names} == where
    output = directory + "\n"
    assert shells.outputs(shells.run('basename "`pwd`"', *names)) == each(output, names)
