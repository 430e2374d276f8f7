"""Tunes against the conventions of folk music: one by one, and over a book.

A **measure** is a span between bar lines that lasts; durations are exact fractions. Bars **add up**
if, with repeats played out, every measure is as long as the meter, except the first (a pickup), the
last, and two pieces that together make up a bar which a part boundary or a bar line divides. There
are two definitions of a valid tune:

- a tune is **valid** if it can be read and its bars add up;
- a tune is **valid inside parts** if the same holds, but the first and the last measure of a part
  may be short without a complement. Every valid tune is valid inside parts.

**Repeats** match by the grammar of ``|: :| |1 |2``. **Parts** are the segments between repeat
marks; the rule requires AABB, two repeated parts of eight bars. The **range** is at most 28
semitones. The last note played is the **tonic**, in any octave. The **cadence** reaches it from
degree 2, 3, 5 or 7, flat or not. At most a tenth of the notes as written are **accidentals**:
outside the key in force.

Real tunes break these rules, too: rates of generated tunes mean something only beside those of
real tunes. Names are imported when they are first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
