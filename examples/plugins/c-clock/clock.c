/* An eviction policy for Larder in C: second chance, also known as CLOCK (F. J. Corbato, "A paging
 * experiment with the Multics system", 1968).
 *
 *     cc -std=c11 -O2 -fPIC -shared -fvisibility=hidden -I path/to/include \
 *        -o libc-clock.so clock.c
 *
 * Entries stand in a ring, oldest first. The host sets a bit when one is hit (LARDER_HIT_BIT), so
 * none of this code runs then. The hand goes round from the oldest entry: one whose bit is set
 * loses it and is passed over, the first one without it has to go.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * host calls the functions of an instance one after the other, so there is no lock. */
#include <larder_plugin_easy.h>

/* A slot that is none: there are fewer. */
#define NONE UINT32_MAX

/* The links of a slot in the ring; prev is NONE if it is not in there. */
typedef struct link {
    uint32_t next, prev;
} link;

typedef struct ring {
    link *links; /* by the number of the slot */
    size_t room;
    uint64_t count;
    uint32_t hand; /* the oldest entry; NONE if there is none */
} ring;

static int32_t ring_create(const larder_create *args, void **out, larder_error *error) {
    ring *self = calloc(1, sizeof *self);
    (void)args;
    if (!self) return larder_no_memory(error);
    self->hand = NONE;
    *out = self;
    return LARDER_OK;
}

static void ring_destroy(void *instance) {
    ring *self = instance;
    free(self->links);
    free(self);
}

/* Makes room for a slot. Without memory the entry is in no book, and the host finds a victim. */
static int reserve(ring *self, uint32_t slot) {
    if (slot < self->room) return 1;
    size_t room = self->room ? self->room : 64;
    while (room <= slot) room *= 2;
    link *larger = realloc(self->links, room * sizeof *larger);
    if (!larger) return 0;
    for (size_t at = self->room; at < room; at++) larger[at] = (link){ NONE, NONE };
    self->links = larger;
    self->room = room;
    return 1;
}

static int is_in(const ring *self, uint32_t slot) {
    return slot < self->room && self->links[slot].prev != NONE;
}

static void ring_on_insert(void *instance, uint32_t slot, const larder_slots *slots) {
    ring *self = instance;
    (void)slots;
    if (!reserve(self, slot) || is_in(self, slot)) return;
    if (self->hand == NONE) {
        self->links[slot] = (link){ slot, slot };
        self->hand = slot;
    } else { /* the newest stands before the oldest */
        uint32_t oldest = self->hand, newest = self->links[oldest].prev;
        self->links[slot] = (link){ oldest, newest };
        self->links[newest].next = slot;
        self->links[oldest].prev = slot;
    }
    self->count++;
}

static void ring_on_remove(void *instance, uint32_t slot, int32_t evicted,
                           const larder_slots *slots) {
    ring *self = instance;
    (void)evicted, (void)slots;
    if (!is_in(self, slot)) return;
    link gone = self->links[slot];
    self->links[gone.prev].next = gone.next;
    self->links[gone.next].prev = gone.prev;
    if (self->hand == slot) self->hand = gone.next == slot ? NONE : gone.next;
    self->links[slot] = (link){ NONE, NONE };
    self->count--;
}

/* Twice round at most: after the first time only pinned entries are left in the way. */
static int32_t ring_victim(void *instance, const larder_slots *slots, uint32_t *out) {
    ring *self = instance;
    if (self->hand == NONE) return LARDER_MISS;
    for (uint64_t looked = 0; looked < 2 * self->count; looked++) {
        uint32_t slot = self->hand;
        if (!slots->is_pinned(slots->shard, slot)) {
            if (slots->hits(slots->shard, slot) == 0) {
                *out = slot;
                return LARDER_OK;
            }
            slots->set_hits(slots->shard, slot, 0);
        }
        self->hand = self->links[slot].next;
    }
    return LARDER_MISS;
}

static void ring_resize(void *instance, uint64_t entries, uint64_t weight) {
    (void)instance, (void)entries, (void)weight;
}

static uint64_t ring_len(void *instance) {
    const ring *self = instance;
    return self->count;
}

static const larder_policy_vt policy = {
    .struct_size = sizeof(larder_policy_vt),
    .hit_mode = LARDER_HIT_BIT,
    .create = ring_create,
    .destroy = ring_destroy,
    .on_insert = ring_on_insert,
    .on_remove = ring_on_remove,
    .victim = ring_victim,
    .resize = ring_resize,
    .len = ring_len,
};

static const larder_component clock_component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_POLICY,
    .name = LARDER_STR("acme.c-clock"),
    .summary = LARDER_STR("second chance, written in C"),
    .vtable = &policy,
};

LARDER_DEFINE_PLUGIN("c-clock", "1.0.0", &clock_component);
