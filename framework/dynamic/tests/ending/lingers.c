/* A plugin whose thread goes on after its instances are gone, and after the library was told that
 * the process ends: it calls every function of the host with the numbers that it had. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "larder_plugin_easy.h"

static const larder_host *host;

/* Of the first instance of each component. */
static _Atomic uint64_t instance, sink, op;

/* How often all functions were called, and how often one did not say that it is too late. */
static atomic_ulong rounds, odd;
static atomic_uint destroyed;

static void expect_closed(int32_t status) {
    if (status != LARDER_CLOSED) atomic_fetch_add(&odd, 1);
}

static void never(void *argument) { (void)argument; }

static void *go_on(void *argument) {
    const larder_slice said = larder_text("still here");
    larder_read nothing;
    larder_invalidation event;
    larder_mutation mutation;
    (void)argument;
    memset(&nothing, 0, sizeof nothing);
    memset(&event, 0, sizeof event);
    memset(&mutation, 0, sizeof mutation);
    event.scope = LARDER_SCOPE_ALL;
    mutation.op = LARDER_MUTATION_DELETE;
    for (;;) {
        host->log(instance, LARDER_LOG_ERROR, &said, &said, NULL, 0);
        host->panicked(instance, &said);
        expect_closed(host->op_complete(op, LARDER_MISS, &nothing, NULL));
        expect_closed(host->spawn_blocking(instance, never, NULL));
        expect_closed(host->sink_apply(sink, &mutation, 1));
        expect_closed(host->sink_invalidate(sink, &event, 1));
        expect_closed(host->sink_lost_track(sink));
        atomic_fetch_add(&rounds, 1);
        sched_yield();
    }
    return NULL;
}

/* ---- a backend, which tells how it goes ------------------------------------------------------ */

static int32_t create(const larder_create *args, void **self, larder_error *error) {
    uint64_t none = 0;
    (void)error;
    host = args->host;
    atomic_compare_exchange_strong(&instance, &none, args->instance);
    *self = &instance;
    return LARDER_OK;
}

static void destroy(void *self) {
    (void)self;
    atomic_fetch_add(&destroyed, 1);
}

static int32_t get(void *self, const larder_call *call, const larder_key *key, larder_read *out,
                   larder_error *error) {
    (void)self, (void)key, (void)out, (void)error;
    op = host->op_defer(call, 1);
    return op ? LARDER_PENDING : LARDER_BUSY;
}

static int32_t health(void *self, const larder_call *call, larder_health *out,
                      larder_error *error) {
    (void)self, (void)call, (void)error;
    out->flags = LARDER_HEALTH_ENTRIES | LARDER_HEALTH_BYTES;
    out->entries = rounds;
    out->bytes = odd;
    out->corrupt = destroyed;
    return LARDER_OK;
}

static int32_t set(void *self, const larder_call *call, const larder_key *key,
                   const larder_entry *entry, larder_error *error) {
    pthread_t thread;
    (void)self, (void)call, (void)key, (void)entry, (void)error;
    return pthread_create(&thread, NULL, go_on, NULL) ? LARDER_ERROR : LARDER_OK;
}

static int32_t del(void *self, const larder_call *call, const larder_key *key,
                   larder_error *error) {
    (void)self, (void)call, (void)key, (void)error;
    return LARDER_MISS;
}

static int32_t clear(void *self, const larder_call *call, larder_error *error) {
    (void)self, (void)call, (void)error;
    return LARDER_OK;
}

static const larder_backend_vt backend = {
    .struct_size = sizeof backend, .create = create, .destroy = destroy, .get = get, .set = set,
    .remove = del, .clear = clear, .health = health,
};

/* ---- a replicator, for its sink -------------------------------------------------------------- */

static int32_t sink_create(const larder_create *args, void **self, larder_error *error) {
    (void)error;
    sink = args->sink;
    *self = &sink;
    return LARDER_OK;
}

static int32_t begin(void *self, const larder_call *call, larder_error *error) {
    (void)self, (void)call, (void)error;
    return LARDER_OK;
}

static int32_t take(void *self, const larder_call *call, const larder_mutation *mutations, size_t n,
                    larder_error *error) {
    (void)self, (void)call, (void)mutations, (void)n, (void)error;
    return LARDER_OK;
}

static int32_t status(void *self, larder_bytes *out) {
    (void)self;
    memset(out, 0, sizeof *out);
    return LARDER_OK;
}

static const larder_replicator_vt replicator = {
    .struct_size = sizeof replicator, .create = sink_create, .destroy = destroy, .start = begin,
    .send = take, .status = status, .stop = begin,
};

/* ---- what the library says about itself ------------------------------------------------------ */

/* The thread is not stopped: what it does until the process is gone must do no harm. */
static int32_t told(int64_t deadline_us) {
    const char *path = getenv("LARDER_TEST_TOLD");
    FILE *file = path ? fopen(path, "w") : NULL;
    unsigned long before = rounds;
    if (file) {
        fprintf(file, "%d", deadline_us > host->now_us());
        fclose(file);
    }
    while (getenv("LARDER_TEST_HANGS") || rounds < before + 100) sched_yield();
    return LARDER_OK;
}

static const larder_component first = {
    .struct_size = sizeof first, .kind = LARDER_KIND_BACKEND, .name = LARDER_STR("acme.lingers"),
    .summary = LARDER_STR("goes on"), .vtable = &backend,
};
static const larder_component second = {
    .struct_size = sizeof second, .kind = LARDER_KIND_REPLICATOR,
    .name = LARDER_STR("acme.lingers"), .summary = LARDER_STR("goes on"), .vtable = &replicator,
};
LARDER_DEFINE_PLUGIN_WITH("acme.lingers", "1.0.0", told, NULL, &first, &second);
