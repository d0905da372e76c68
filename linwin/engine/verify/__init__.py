"""verify: everything that a template's guests are to do, tried once, by the verbs that serve its users."""

from linwin.engine.verify.bench import sweep as sweep
from linwin.engine.verify.run import verify as verify
from linwin.engine.verify.table import GROUPS as GROUPS
