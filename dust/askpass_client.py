"""The program that ssh calls where it has a question: Dust gets it and answers.

A process of its own for every question, so it imports nothing of Dust.
"""

import os
import socket
import sys


def main() -> int:
    """Print the answer to the question that is the first argument; 1 if there is none."""
    kind = os.environ.get("SSH_ASKPASS_PROMPT", "")
    with socket.socket(socket.AF_UNIX) as dust:
        try:
            dust.connect(os.environ["DUST_ASKPASS"])
            dust.sendall(os.fsencode(f"{os.getppid()}\0{kind}\0{sys.argv[1]}"))
            dust.shutdown(socket.SHUT_WR)
            answer = b""
            while data := dust.recv(4096):
                answer += data
        except (KeyError, OSError):
            return 1  # nobody is there to be asked
    if not answer:
        return 1
    sys.stdout.buffer.write(answer[1:] + b"\n")  # the first byte says that there is one
    return 0


if __name__ == "__main__":
    sys.exit(main())
