/* An eviction policy for Larder in C: the oldest entry goes, unless it was hit. Put what you came
 * for in its place.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * host calls those of an instance one after the other, so there is no lock; the rules are at the
 * top of larder_plugin.h. */
#include "larder_plugin_easy.h"

/* When each entry came in; 0 for a slot without one. */
typedef struct ages {
    uint64_t *of; /* by the number of the slot */
    size_t room;
    uint64_t now;
    uint64_t count;
} ages;

static int32_t ages_create(const larder_create *args, void **out, larder_error *error) {
    ages *self = calloc(1, sizeof *self);
    (void)args;
    if (!self) return larder_no_memory(error);
    *out = self;
    return LARDER_OK;
}

static void ages_destroy(void *instance) {
    ages *self = instance;
    free(self->of);
    free(self);
}

/* Without memory the entry is in no book, and the host finds a victim by itself. */
static void ages_on_insert(void *instance, uint32_t slot, const larder_slots *slots) {
    ages *self = instance;
    (void)slots;
    if (slot >= self->room) {
        size_t room = self->room ? self->room : 64;
        while (room <= slot) room *= 2;
        uint64_t *larger = realloc(self->of, room * sizeof *larger);
        if (!larger) return;
        memset(larger + self->room, 0, (room - self->room) * sizeof *larger);
        self->of = larger;
        self->room = room;
    }
    if (self->of[slot] == 0) self->count++;
    self->of[slot] = ++self->now;
}

static void ages_on_remove(void *instance, uint32_t slot, int32_t evicted,
                           const larder_slots *slots) {
    ages *self = instance;
    (void)evicted, (void)slots;
    if (slot >= self->room || self->of[slot] == 0) return;
    self->of[slot] = 0;
    self->count--;
}

/* Looks at all entries, which is good enough to begin with: the fewest hits, then the oldest. */
static int32_t ages_victim(void *instance, const larder_slots *slots, uint32_t *out) {
    const ages *self = instance;
    int32_t status = LARDER_MISS;
    uint32_t fewest = 0;
    for (uint32_t slot = 0; slot < self->room; slot++) {
        if (self->of[slot] == 0 || slots->is_pinned(slots->shard, slot)) continue;
        uint32_t hits = slots->hits(slots->shard, slot);
        int is_better = status == LARDER_MISS || hits < fewest ||
                        (hits == fewest && self->of[slot] < self->of[*out]);
        if (!is_better) continue;
        status = LARDER_OK;
        fewest = hits;
        *out = slot;
    }
    return status;
}

static void ages_resize(void *instance, uint64_t entries, uint64_t weight) {
    (void)instance, (void)entries, (void)weight;
}

static uint64_t ages_len(void *instance) {
    const ages *self = instance;
    return self->count;
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_policy_vt policy = {
    .struct_size = sizeof(larder_policy_vt),
    .hit_mode = LARDER_HIT_BIT, /* the host notes hits, and none of this runs then */
    .create = ages_create,
    .destroy = ages_destroy,
    .on_insert = ages_on_insert,
    .on_remove = ages_on_remove,
    .victim = ages_victim,
    .resize = ages_resize,
    .len = ages_len,
};

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_POLICY,
    .name = LARDER_STR("acme.demo"),
    .summary = LARDER_STR("the oldest entry without a hit, in C"),
    .vtable = &policy,
};

LARDER_DEFINE_PLUGIN("acme-demo", "0.1.0", &component);
