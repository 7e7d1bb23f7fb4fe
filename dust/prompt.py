"""The prompt of a person: live all the time, with the nodes' output above it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import termios
from collections.abc import Iterable

from prompt_toolkit import PromptSession, search
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import is_searching
from prompt_toolkit.formatted_text import StyleAndTextTuples, fragment_list_width
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.output import create_output
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import CompleteStyle

from dust import completion, config
from dust.above import PACE, Above, Keyboard
from dust.errors import DustError
from dust.history import FileHistory
from dust.plain import printable
from dust.shell import Shell
from dust.user import User

#: Seconds after which nodes are listed in the background: the prompt stands by then.
_SOON = 0.2
#: Seconds between two looks at how far the last line is, the first of them too.
_EVERY = 1.0
#: Columns that the prompt leaves for typing, or half of them all where there are fewer.
ROOM = 20
_CUT = "interrupted: not all was shown, `last` shows it again"
_STYLES = {"ready": "ansigreen", "down": "ansired", "waiting": "ansiyellow bold"}


class _Leave(Exception):
    """Ctrl-D on an empty line."""


class _Ask(Exception):
    """A session asks something: the line being typed comes back after the answer."""


class Prompt:
    """Reads lines and has the shell carry them out, until the user leaves."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._context = shell.context
        self._user = User(shell)
        self._typed, self._status = "", 0  # where the next line begins; how the last one ended
        self._looking: asyncio.TimerHandle | None = None
        self._progress = ""  # how far the last line was at the last look
        path = config.home() / "history"
        self._history = FileHistory(
            path, self._context.settings.history_size, self._context.printer.error
        )
        output = create_output()
        if isinstance(output, Vt100_Output):
            output.enable_cpr = False  # an answer that comes late would be typed into raw mode
        self._session: PromptSession[str] = PromptSession(
            input=Keyboard(open(0, closefd=False)),
            output=output,
            message=self._message,
            history=self._history,
            completer=_Completer(shell),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            key_bindings=self._keys(),
            multiline=True,
            prompt_continuation=lambda width, *_: ">".rjust(max(1, width - 1)) + " ",
            enable_history_search=True,
        )
        self._session.app.min_redraw_interval = PACE
        self._session.app.terminal_size_polling_interval = None  # a signal says it
        self._above = Above(self._context, self._session)
        self._context.typed = self._history.get_strings
        self._context.display.stirred = self._stirred

    def run(self) -> int:
        """Read lines until the user leaves; returns the exit status."""
        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        modes = termios.tcgetattr(0)
        try:
            return loop.run_until_complete(self._lines())
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, modes)  # whatever it was that ended us
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            loop.close()

    async def _lines(self) -> int:
        asyncio.get_event_loop().call_later(_SOON, self._context.listing.begin)
        going, pressed = True, False
        while going:
            try:
                if pressed:
                    pressed = False
                    self._shell.give_up()
                going = await self._line()
            except KeyboardInterrupt:  # between two lines, or before the last one was told
                pressed = True
        return self._status

    async def _line(self) -> bool:
        """Read a line and carry it out; False if it was the last."""
        try:
            text, self._typed = await self._read(self._typed), ""
        except EOFError:  # the terminal is gone
            return False
        except _Leave:
            return not self._user.may_leave()
        except _Ask:
            self._typed = self._session.default_buffer.text
            self._user.answer()
            return True
        if self._shell.goes_on(text):  # what would have taken it as input has ended meanwhile
            self._typed = text + "\n"
            return True
        self._status = self._user.execute(text)
        leaving = self._user.leaves()
        if leaving is None:
            return True
        self._status = leaving
        return False

    # --- one line, with output above it

    async def _read(self, typed: str) -> str:
        self._above.begin()
        self._progress = ""
        self._look_later()
        before = signal.signal(signal.SIGINT, self._pressed)
        try:
            text = await self._session.prompt_async(
                default=typed, handle_sigint=False, pre_run=self._stirred
            )
        finally:
            signal.signal(signal.SIGINT, self._give_up)
            if self._looking:
                self._looking.cancel()
            cut = await self._above.end()
            signal.signal(signal.SIGINT, before)
        if cut:
            self._context.printer.tell(_CUT)
        return "" if cut else text  # what was typed before Ctrl-C is given up too

    def _pressed(self, *_: object) -> None:
        """Ctrl-C is a key here, until the line is there."""
        if self._session.app.is_done:
            self._give_up()

    def _give_up(self, *_: object) -> None:
        self._above.give_up()

    def _look_later(self) -> None:
        """Look how far the last line is in a moment, if it is not done."""
        self._looking = None
        if self._shell.progress():
            self._looking = asyncio.get_event_loop().call_later(_EVERY, self._look)

    def _look(self) -> None:
        self._progress = self._shell.progress()
        self._session.app.invalidate()
        self._look_later()

    def _stirred(self) -> None:
        app = self._session.app
        if not app.is_running:
            return
        if self._context.display.questions and not app.is_done:
            app.exit(exception=_Ask)
        else:
            app.invalidate()

    # --- looks and keys

    def _message(self) -> StyleAndTextTuples:
        states: StyleAndTextTuples = []
        for state, count in self._shell.status().items():
            states += [("", " "), (_STYLES.get(state, ""), f"{count} {state}")]
        width = self._session.app.output.get_size().columns
        parts = _fitting([("bold", self._user.where)], states, width)
        if self._progress and self._shell.progress() and not self._session.app.is_done:
            shown = printable(self._progress)[: width - 1]
            parts.insert(0, ("ansibrightblack", shown + "\n"))
        return parts

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("enter")
        def _(event: KeyPressEvent) -> None:
            if is_searching():
                search.accept_search()
            buffer = event.current_buffer
            at_end = not buffer.document.text_after_cursor.strip()
            if at_end and self._shell.goes_on(buffer.text):
                buffer.insert_text("\n")
            else:
                buffer.validate_and_handle()

        @keys.add("c-c", filter=~is_searching)
        def _(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.reset()
            else:
                told = self._user.interrupt()
                if self._above.drop():
                    told = _CUT
                if told:
                    self._context.printer.tell(told)
                self._context.printer.flush()

        @keys.add("c-z")
        def _(event: KeyPressEvent) -> None:
            """There is nothing to suspend here, and no line has this character."""

        @keys.add("c-d", filter=~is_searching)
        def _(event: KeyPressEvent) -> None:
            if event.current_buffer.text:
                event.current_buffer.delete()
            else:
                event.app.exit(exception=_Leave)

        return keys


def _fitting(
    where: StyleAndTextTuples, states: StyleAndTextTuples, width: int
) -> StyleAndTextTuples:
    """The prompt, as much of it as leaves room for what is typed in a terminal of that width."""
    end: StyleAndTextTuples = [("bold", "$ ")]
    for parts in ([*where, *states, *end], [*where, *end]):
        if width - fragment_list_width(parts) >= min(ROOM, width // 2):
            return parts
    return end


class _Completer(Completer):
    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Complete the word before the cursor."""
        context = self._shell.context
        text = document.text_before_cursor
        with contextlib.suppress(DustError):
            if context.listing.ready():
                context.cluster.nodes()
        start, words = completion.complete(text, context.registry, context.cluster)
        for word in words:
            yield Completion(word, start_position=start - len(text))
