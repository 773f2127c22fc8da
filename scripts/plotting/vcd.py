"""The waveforms that `narrowmac trace` writes."""

import bisect

PERIOD = 10  # time units of a clock cycle: the state after clock edge u stands at (u + 1) * PERIOD


class Waveform:
    """Every signal's changes, by its name within the array: pe_R_C.NAME."""

    def __init__(self, path):
        self.changes = {}
        codes, scopes, time, defined = {}, [], 0, False
        with open(path, encoding="ascii") as file:
            for line in file:
                words = line.split()
                if not words:
                    continue
                if words[0] == "$scope":
                    scopes.append(words[2])
                elif words[0] == "$upscope":
                    scopes.pop()
                elif words[0] == "$var":
                    codes[words[3]] = ".".join([*scopes[2:], words[4]])
                elif words[0] == "$enddefinitions":
                    defined = True
                elif defined and words[0][0] == "#":
                    time = int(words[0][1:])
                elif defined and words[0][0] in "rb" and len(words) == 2:
                    self._set(codes[words[1]], time, float(words[0][1:]) if words[0][0] == "r" else int(words[0][1:], 2))
                elif defined and words[0][0] in "01":
                    self._set(codes[words[0][1:]], time, int(words[0][0]))

    def _set(self, name, time, value):
        times, values = self.changes.setdefault(name, ([], []))
        times.append(time)
        values.append(value)

    def after_edge(self, name, edge):
        """The value after clock edge `edge`, from 0."""
        times, values = self.changes[name]
        return values[bisect.bisect_right(times, (edge + 1) * PERIOD) - 1]

    def pes(self):
        """(row, column) of every PE, rows first."""
        found = {tuple(int(part) for part in name.split(".")[0].split("_")[1:])
                 for name in self.changes if name.startswith("pe_")}
        return sorted(found)
