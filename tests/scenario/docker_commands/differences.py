"""In what linwin's own command line differs from docker's on purpose.

A test looks for these words in docs/cli.md, which tells users.
"""

from __future__ import annotations

ONE_FORM = "every error has one form: `linwin:` and the sentence, said once"
NO_USAGE = "a command line that cannot be read is answered without its usage"
TEMPLATE_COLUMN = "`ps` has a TEMPLATE column behind docker's"
SHOWS_THE_WAY = "what to do instead may follow an error on a line of its own"
RUN_IS_125 = "125 is the code of every `run` that did not run"
KINDS = "`inspect --type` has the kinds that linwin has"
