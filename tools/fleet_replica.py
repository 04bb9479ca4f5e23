"""One replica of the simulation: a queue, a batch, and the prefixes that its cache holds."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from fleet_costs import PAGE

MAX_STEPS = 64  # that one cost stands for while contexts grow


@dataclass(slots=True)
class Request:
    arrival_s: float
    prefix: int  # its number, -1 for none
    prefix_tokens: int
    prompt_tokens: int  # the prefix included
    output_tokens: int
    cached_tokens: int = 0
    computed: int = 0  # of the prompt, cached tokens included
    produced: int = 0
    first_token_s: float = 0.0
    end_s: float = 0.0

    @property
    def context(self):
        return self.computed + self.produced

    @property
    def own_tokens(self):
        """Tokens of the pool that are this request's alone, at most."""
        return self.prompt_tokens - self.prefix_tokens + self.output_tokens


@dataclass(slots=True)
class Limits:
    max_seqs: int = 64
    step_tokens: int = 2048


@dataclass
class Tally:
    """What all replicas did."""

    finished: list = field(default_factory=list)
    gaps: dict = field(default_factory=dict)  # seconds between tokens of a sequence -> how many
    evicted: int = 0

    def add_gaps(self, seconds, count):
        self.gaps[seconds] = self.gaps.get(seconds, 0) + count


class Replica:
    """Steps run from `begin` to `end_s`; `advance` books what they did. First come, first served, prompts in chunks."""

    def __init__(self, costs, limits, tally):
        self.costs, self.limits, self.tally = costs, limits, tally
        self.waiting, self.running = deque(), []
        self.prefixes = OrderedDict()  # number -> tokens of those with memory, the one used longest ago first
        self.ready = set()  # those of them that are computed
        self.used = 0  # tokens of the pool
        self.start_s = self.end_s = None
        self.step_s, self.steps, self.chunks = 0.0, 0, []
        self.busy_s = 0.0
        self.version = 0  # of the plan, for events that came too late

    @property
    def load(self):
        return len(self.waiting) + len(self.running)

    def arrive(self, request, now):
        """True when the plan changed."""
        self.waiting.append(request)
        if self.end_s is None:
            self.begin(now)
            return True
        if self.chunks or self.steps == 1 or len(self.running) >= self.limits.max_seqs:
            return False
        # The steps that have begun run to their end; the rest is planned anew.
        begun = min(self.steps, int((now - self.start_s) / self.step_s) + 1)
        if begun == self.steps:
            return False
        self.steps, self.end_s = begun, self.start_s + begun * self.step_s
        self.version += 1
        return True

    def begin(self, now):
        """Plans steps from `now` on; none where there is nothing to do."""
        self.version += 1
        self.admit()
        self.chunks = self.plan_chunks()
        decoding = [one for one in self.running if one.produced]
        if not decoding and not self.chunks:
            self.end_s = None
            return
        held = sum(one.context for one in decoding)
        read = sum(self.costs.tokens_read(one.context) for one in decoding)
        prefill = sum(tokens for _, tokens in self.chunks)
        pairs = sum(tokens * (one.computed + tokens / 2) for one, tokens in self.chunks)
        self.step_s = self.costs.step_s(len(decoding), held, read, prefill, pairs)
        left = min((one.output_tokens - one.produced for one in decoding), default=1)
        self.steps = 1 if self.chunks else min(left, MAX_STEPS)
        self.start_s, self.end_s = now, now + self.steps * self.step_s

    def advance(self):
        """Books the planned steps, which are over."""
        now, self.busy_s = self.end_s, self.busy_s + self.end_s - self.start_s
        decoding = [one for one in self.running if one.produced]
        if decoding:
            self.tally.add_gaps(self.step_s, self.steps * len(decoding))
        for one in decoding:
            one.produced += self.steps
        for one, tokens in self.chunks:
            one.computed += tokens
            if one.prefix >= 0 and one.computed >= one.prefix_tokens:
                self.ready.add(one.prefix)
            if one.computed == one.prompt_tokens:
                one.produced, one.first_token_s = 1, now
        for one in [one for one in self.running if one.produced >= one.output_tokens]:
            self.finish(one, now)
        self.begin(now)

    def finish(self, request, now):
        request.end_s = now
        self.running.remove(request)
        self.used -= request.own_tokens
        self.tally.finished.append(request)

    def plan_chunks(self):
        """(request, tokens) of prompts, in order, within the tokens of a step."""
        left = self.limits.step_tokens - sum(1 for one in self.running if one.produced)
        chunks, computing = [], set()
        for one in self.running:
            if one.produced or left <= 0 or one.prefix in computing:
                continue
            self.look_up(one)
            if one.prefix >= 0 and one.prefix not in self.ready:
                # The same beginning in another prompt waits for this one.
                computing.add(one.prefix)
            tokens = min(left, one.prompt_tokens - one.computed)
            chunks.append((one, tokens))
            left -= tokens
        return chunks

    def look_up(self, request):
        """What of a prompt that begins is there already; its last token is computed in any case."""
        if request.computed == 0 and request.prefix in self.ready:
            request.cached_tokens = min(request.prefix_tokens // PAGE * PAGE, request.prompt_tokens - 1)
            request.computed = request.cached_tokens

    def admit(self):
        """Takes from the queue while there are places and memory."""
        while self.waiting and len(self.running) < self.limits.max_seqs:
            request = self.waiting[0]
            new = 0 if request.prefix in self.prefixes else request.prefix_tokens
            if not self.make_room(request.own_tokens + new, request.prefix):
                return
            self.used += request.own_tokens + new
            if request.prefix >= 0:
                self.prefixes[request.prefix] = request.prefix_tokens
                self.prefixes.move_to_end(request.prefix)
            self.running.append(self.waiting.popleft())

    def make_room(self, tokens, keep):
        """Forgets prefixes that nobody uses, the one used longest ago first."""
        if self.used + tokens <= self.costs.pool_tokens:
            return True
        busy = {one.prefix for one in self.running} | {keep}
        for prefix in [one for one in self.prefixes if one not in busy]:
            self.used -= self.prefixes.pop(prefix)
            self.ready.discard(prefix)
            self.tally.evicted += 1
            if self.used + tokens <= self.costs.pool_tokens:
                return True
        return False
