from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dust.reasons import last_words, lost, overloaded, reason

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r
The fingerprint for the ED25519 key sent by the remote host is\r
SHA256:lwPppe2umgxb0e+Et8i2zb2cqFC9xsD7vqcIGWkdCeY.\r
Add correct host key in /home/u/.ssh/known hosts to get rid of this message.\r
Offending ED25519 key in /home/u/.ssh/known hosts:12\r
  remove with:\r
  ssh-keygen -f "/home/u/.ssh/known hosts" -R "n1"\r
Host key for n1 has changed and you have requested strict checking.\r
Host key verification failed.\r
"""
UNKNOWN = "No ED25519 host key is known for n1 and you have requested strict checking."
TABLE = [
    ("ssh: Could not resolve hostname n1: Name or service not known", "name resolution"),
    ("ssh: Could not resolve hostname n1: Temporary failure in name resolution", "name resolution"),
    ("ssh: connect to host 10.0.0.9 port 22: Connection refused", "refused"),
    ("ssh: connect to host 10.0.0.9 port 22: Connection timed out", "timed out"),
    ("ssh: connect to host 10.0.0.9 port 22: Operation timed out", "timed out"),
    ("Connection timed out during banner exchange", "timed out"),
    ("Timeout, server 10.0.0.9 not responding.", "timed out"),
    ("ssh: connect to host 10.0.0.9 port 22: No route to host", "unreachable"),
    ("ssh: connect to host 10.0.0.9 port 22: Network is unreachable", "unreachable"),
    ("ssh: connect to host 10.0.0.9 port 22: Host is down", "unreachable"),
    ("ec2-user@n1: Permission denied (publickey,gssapi-with-mic).", "authentication"),
    ("Received disconnect from n1 port 22:2: Too many authentication failures", "authentication"),
    ("No more authentication methods to try.", "authentication"),
    ("kex_exchange_identification: Connection closed by remote host", "dropped"),
    ("kex_exchange_identification: read: Connection reset by peer", "dropped"),
    ("Connection closed by 10.0.0.9 port 22", "dropped"),
    ("Connection reset by 10.0.0.9 port 22", "dropped"),
    ("banner exchange: Connection to UNKNOWN port -1: Broken pipe", "dropped"),
    ("client_loop: send disconnect: Broken pipe", "dropped"),
    ("command-line: line 0: Bad configuration option: badoption", "ended"),
    ("This account is currently not available.", "ended"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "kind"), TABLE)
def test_each_reason_is_told_apart(line: str, kind: str) -> None:
    assert reason(line) == (kind, line)
    assert reason(f"\r\n{line}\r\r\n") == (kind, line)


def test_a_banner_before_it_does_not_hide_the_reason() -> None:
    line = "ec2-user@n1: Permission denied (publickey)."
    assert reason(f"Welcome\nto n1\r\n{line}\r\n") == ("authentication", line)


def test_a_shared_connection_that_was_full_is_not_the_reason() -> None:
    full = "mux_client_request_session: session request failed: Session open refused by peer"
    shared = "ControlSocket /k/cm/c0 already exists, disabling multiplexing"
    turned_away = "kex_exchange_identification: Connection closed by remote host"
    kind, sentence = reason(f"{full}\r\n{shared}\r\n{turned_away}\r\n")
    assert (kind, sentence) == ("dropped", turned_away)
    assert overloaded(sentence)


def test_a_key_that_cannot_be_used_is_told() -> None:
    refused = "root@n1: Permission denied (publickey)."
    ignored = "This private key will be ignored."
    bad = 'Load key "/k/id": bad permissions'
    assert reason(f"{ignored}\r\n{bad}\r\n{refused}\r\n") == (
        "authentication",
        f"{refused} ({bad})",
    )
    agent = 'sign_and_send_pubkey: signing failed for ED25519 "k": agent refused operation'
    assert reason(f"{agent}\n{agent}\n{refused}\n")[1] == f"{refused} ({agent})"


def test_a_changed_key_names_the_place_of_the_old_one() -> None:
    where = "it has changed; the key known so far is in /home/u/.ssh/known hosts:12"
    where += " (if the new one is right: ssh-keygen -f '/home/u/.ssh/known hosts' -R n1)"
    assert reason(CHANGED) == ("host key", where)
    assert reason(f"{UNKNOWN}\r\nHost key verification failed.\r\n") == ("host key", UNKNOWN)


def test_a_key_that_nobody_was_asked_about_is_said_to_be_unknown() -> None:
    line = "Host key verification failed."
    assert reason(f"{line}\r\n") == (
        "host key",
        f"{line} (it is not known yet; plain ssh would ask)",
    )
    revoked = "Host key 127.0.0.1 was revoked."
    assert reason(f"{revoked}\r\n{line}\r\n") == ("host key", line)


@pytest.mark.parametrize(
    "closed",
    [
        "kex_exchange_identification: Connection closed by remote host\r\n",
        "banner exchange: Connection to UNKNOWN port 65535: Broken pipe\r\n",
    ],
)
def test_a_failed_proxy_is_told_by_its_own_words(closed: str) -> None:
    said = "/bin/sh: 1: nc: not found\r\n"
    assert reason(said + closed) == ("dropped", "/bin/sh: 1: nc: not found")
    assert not overloaded(reason(said + closed)[1])
    said = "ssh: Could not resolve hostname bastion: Name or service not known\r\n"
    assert reason(said + closed)[0] == "name resolution"


@pytest.mark.parametrize(
    "said",
    [
        "",
        "\r\n \r\n",
        "Warning: Permanently added 'n1' (ED25519) to the list of known hosts.\r\n",
        "Connection to n1 closed.\r\n",
        "Shared connection to n1 closed.\r\n",
        "*** System restart required ***\r\n",
        "debug1: Connection refused by policy\r\n",
    ],
)
def test_noise_is_no_reason(said: str) -> None:
    assert reason(said) == ("ended", "")


@pytest.mark.parametrize(
    ("line", "again"),
    [
        ("kex_exchange_identification: Connection closed by remote host", True),
        ("kex_exchange_identification: read: Connection reset by peer", True),
        ("Connection closed by 10.0.0.9 port 22", True),
        ("Connection reset by 10.0.0.9 port 22", True),
        ("Connection timed out during banner exchange", True),
        ("ssh: connect to host 10.0.0.9 port 22: Connection refused", False),
        ("Host key verification failed.", False),
        ("ec2-user@n1: Permission denied (publickey).", False),
        ("nc: Connection reset by peer", False),
        ("", False),
    ],
)
def test_only_a_busy_server_is_tried_again(line: str, again: bool) -> None:
    assert overloaded(line) is again


@pytest.mark.parametrize(
    ("printed", "kind"),
    [
        ("Timeout, server n1 not responding.\r\n", "timed out"),
        ("client_loop: send disconnect: Broken pipe\r\n", "dropped"),
        ("Connection to n1 closed by remote host.\r\n", "dropped"),
        ("Connection to n1 closed by remote host.\r\nConnection to n1 closed.\r\n", "dropped"),
        ("Connection reset by 10.0.0.9 port 22\r\n", "dropped"),
        ("ssh_dispatch_run_fatal: Connection to 1.2.3.4 port 22: message incorrect\r\n", "dropped"),
    ],
)
def test_a_live_connection_ends_in_the_words_of_ssh(printed: str, kind: str) -> None:
    line = printed.split("\r\n")[0]
    assert lost(b"some output\r\n$ " + printed.encode()) == (kind, line)


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "$ ",
        "cat: /etc/shadow: Permission denied\r\n",
        "curl: (7) Connection refused\r\n",
        "Timeout, server n1 not responding.\r\nand more output\r\n",
        "ssh: Could not resolve hostname n2: Name or service not known\r\n",
    ],
)
def test_output_of_programs_is_no_reason(printed: str) -> None:
    assert lost(printed.encode()) == ("dropped", "the connection was lost")


@pytest.mark.parametrize(
    ("printed", "words"),
    [
        (b"logout\r\nConnection to 10.0.0.9 closed.\r\n", b"Connection to 10.0.0.9 closed.\r\n"),
        (b"Shared connection to n1 closed.\r\r\n", b"Shared connection to n1 closed.\r\r\n"),
        (b"x\r\nTimeout, server n1 not responding.\r\n", b"Timeout, server n1 not responding.\r\n"),
        (
            b"Connection to n1 closed by remote host.\r\nConnection to n1 closed.\r\n",
            b"Connection to n1 closed by remote host.\r\nConnection to n1 closed.\r\n",
        ),
        (b"client_loop: send disconnect: Broken pipe\n",) * 2,
        (b"Connection to n1 closed.\r\n$ ", b""),
        (b"Connection to n1 closed.", b""),
        (b"the shop is closed.\r\n", b""),
        (b"", b""),
    ],
)
def test_the_last_words_of_ssh_are_known_at_the_end_only(printed: bytes, words: bytes) -> None:
    assert last_words(printed) == words


@given(st.text())
def test_whatever_is_said_gives_a_kind_and_one_line(said: str) -> None:
    for kind, text in (reason(said), lost(said.encode())):
        assert kind
        assert "\n" not in text
        assert "\r" not in text
    overloaded(said)


# --- the ssh of this machine


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        yield server


def said_by_ssh(port: int, *options: str, host: str = "127.0.0.1") -> str:
    words = ["ssh", "-F", "none", "-o", "BatchMode=yes", *options]
    words += ["-p", str(port), "--", host, "true"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 255
    return done.stderr


def test_ssh_says_refused(listener: socket.socket) -> None:
    kind, text = reason(said_by_ssh(listener.getsockname()[1]))
    assert (kind, "Connection refused" in text) == ("refused", True)


def test_ssh_says_timed_out_to_a_silent_server(listener: socket.socket) -> None:
    listener.listen()
    said = said_by_ssh(listener.getsockname()[1], "-o", "ConnectTimeout=1")
    assert reason(said)[0] == "timed out"


def test_ssh_says_that_a_name_does_not_resolve(listener: socket.socket) -> None:
    said = said_by_ssh(22, host="no-such-node.invalid")
    assert reason(said)[0] == "name resolution"


def test_ssh_says_that_a_busy_server_dropped_it(listener: socket.socket) -> None:
    listener.listen()

    def turn_away() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1000)

    thread = threading.Thread(target=turn_away)
    thread.start()
    kind, text = reason(said_by_ssh(listener.getsockname()[1]))
    thread.join()
    assert (kind, overloaded(text)) == ("dropped", True)


def test_ssh_says_what_is_wrong_with_a_proxy(listener: socket.socket) -> None:
    said = said_by_ssh(22, "-o", "ProxyCommand=/nonexistent/proxy %h")
    kind, text = reason(said)
    assert (kind, "/nonexistent/proxy" in text) == ("dropped", True)
    assert not overloaded(text)
