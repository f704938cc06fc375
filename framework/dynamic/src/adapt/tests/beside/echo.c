/* An invalidator, a warmer and a replicator that bring back what they are given.
 *
 * Deliveries wait for the cache, so a thread of the plugin makes each. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <time.h>

#include "larder_plugin_easy.h"

typedef struct instance {
    const larder_host *host;
    uint64_t sink;
    uint64_t sent;
    int64_t count; /* of a warmer */
} instance;

/* What a thread delivers, and the operation that it answers then. */
typedef struct errand {
    const larder_host *host;
    uint64_t sink;
    uint64_t op;
    int begins; /* whether it is the first delivery, which says that something was lost */
    larder_invalidation event;
    larder_mutation *mutations;
    size_t n;
} errand;

static uint64_t warmed; /* by the last run whose end said so */

static int32_t create(const larder_create *args, void **self, larder_error *error) {
    instance *made = calloc(1, sizeof *made);
    if (!made) return larder_no_memory(error);
    made->host = args->host;
    made->sink = args->sink;
    made->count = (int64_t)larder_number(&args->config_json, "count", 0);
    *self = made;
    return LARDER_OK;
}

static void destroy(void *self) { free(self); }

static larder_slice copied(const larder_slice *text) {
    uint8_t *copy = larder_copy(text->ptr, text->len);
    larder_slice made = { copy, copy ? text->len : 0 };
    return made;
}

static void *run_errand(void *arg) {
    errand *work = arg;
    int32_t status;
    if (work->mutations) {
        status = work->host->sink_apply(work->sink, work->mutations, work->n);
        for (size_t i = 0; i < work->n; i++) {
            const larder_bytes *value = &work->mutations[i].entry.value;
            if (value->vt) value->vt->release(value->owner);
            free((void *)(uintptr_t)work->mutations[i].target.ptr);
        }
        free(work->mutations);
    } else {
        if (work->begins) work->host->sink_lost_track(work->sink);
        status = work->host->sink_invalidate(work->sink, &work->event, 1);
        free((void *)(uintptr_t)work->event.target.ptr);
    }
    work->host->op_complete(work->op, status, NULL, NULL);
    free(work);
    return NULL;
}

/* Has a thread do it, and answers later. */
static int32_t later(errand work, const larder_call *call) {
    work.op = work.host->op_defer(call, 7);
    errand *kept = malloc(sizeof *kept);
    pthread_t thread;
    if (!kept || !work.op) return LARDER_BUSY;
    *kept = work;
    if (pthread_create(&thread, NULL, run_errand, kept)) return LARDER_BUSY;
    pthread_detach(thread);
    return LARDER_PENDING;
}

static int32_t start(void *self, const larder_call *call, larder_error *error) {
    instance *me = self;
    larder_slice key = LARDER_STR("started");
    errand work = { me->host, me->sink, 0, 1, { 0 }, NULL, 0 };
    (void)error;
    work.event.scope = LARDER_SCOPE_KEY;
    work.event.target = copied(&key);
    return later(work, call);
}

static int32_t publish(void *self, const larder_call *call, const larder_invalidation *event,
                       larder_error *error) {
    instance *me = self;
    errand work = { me->host, me->sink, 0, 0, *event, NULL, 0 };
    if (larder_is(&event->target, "never")) {
        me->host->op_defer(call, 9);
        return LARDER_PENDING;
    }
    if (larder_is(&event->target, "panics")) return LARDER_PANICKED;
    if (larder_is(&event->target, "fails"))
        return larder_fail(error, LARDER_INVALIDATION, "not today", NULL);
    work.event.target = copied(&event->target);
    return later(work, call);
}

static int32_t stop(void *self, const larder_call *call, larder_error *error) {
    (void)self, (void)error;
    return call->deadline_us - call->now_us < 1000000 ? LARDER_TIMEOUT : LARDER_OK;
}

static int32_t matches(void *self, const larder_slice *pattern, const larder_slice *key) {
    (void)self;
    return key->len >= pattern->len &&
           memcmp(key->ptr + key->len - pattern->len, pattern->ptr, pattern->len) == 0;
}

static void cancel(void *self, uint64_t token) { (void)self, (void)token; }

/* Runs that ended while the plugin was told that nobody waits for their keys, and before. */
static uint64_t overtaken, ended, told;

/* Takes its time, so that an end that does not wait for it is seen. */
static void cancel_keys(void *self, uint64_t token) {
    uint64_t before = __atomic_load_n(&ended, __ATOMIC_SEQ_CST);
    struct timespec pause = { 0, 10000000 };
    (void)self, (void)token;
    for (int i = 0; i < 30; i++) {
        nanosleep(&pause, NULL);
        if (__atomic_load_n(&ended, __ATOMIC_SEQ_CST) != before) {
            __atomic_add_fetch(&overtaken, 1, __ATOMIC_SEQ_CST);
            break;
        }
    }
    __atomic_add_fetch(&told, 1, __ATOMIC_SEQ_CST);
}

static const larder_invalidator_vt invalidator_table = {
    .struct_size = sizeof(larder_invalidator_vt), .create = create, .destroy = destroy,
    .start = start, .publish = publish, .stop = stop, .matches = matches, .cancel = cancel,
};

/* A run is how many keys it has named. */
static int32_t begin(void *self, uint32_t trigger, void **run, uint64_t *estimate,
                     larder_error *error) {
    instance *me = self;
    (void)error;
    if (trigger == LARDER_WARM_FAILOVER) return LARDER_CONNECTION;
    int64_t *named = calloc(1, sizeof *named);
    if (!named) return LARDER_CAPACITY;
    *run = named;
    *estimate = (uint64_t)me->count;
    return LARDER_OK;
}

static int32_t next(void *self, void *run, const larder_call *call, larder_warm_batch *out,
                    larder_error *error) {
    static const larder_slice value = LARDER_STR("v");
    instance *me = self;
    int64_t *named = run;
    (void)error;
    if (me->count == 77) {
        me->host->op_defer(call, 3);
        return LARDER_PENDING;
    }
    if (*named >= me->count) return LARDER_MISS;
    for (; out->n < out->cap && *named < me->count; ++*named) {
        larder_warm_item *item = &out->items[out->n];
        char text[32] = "key-";
        size_t len = 4;
        int64_t divisor = 1;
        while (*named / divisor >= 10) divisor *= 10;
        for (; divisor; divisor /= 10) text[len++] = (char)('0' + *named / divisor % 10);
        uint8_t *data;
        if (me->host->bytes_new(len, &data, &item->key) != LARDER_OK) return LARDER_CAPACITY;
        memcpy(data, text, len);
        item->priority = (int32_t)(me->count - *named);
        if (*named % 2 == 0) {
            item->value = (larder_bytes){ value.ptr, value.len, NULL, NULL };
            item->flags = LARDER_WARM_HAS_VALUE;
        }
        out->n++;
    }
    return LARDER_OK;
}

static void end(void *self, void *run, const larder_warm_stats *stats) {
    instance *me = self;
    free(run);
    if (me->count == 77) __atomic_add_fetch(&ended, 1, __ATOMIC_SEQ_CST);
    if (stats) __atomic_store_n(&warmed, stats->warmed, __ATOMIC_SEQ_CST);
}

static const larder_warmer_vt warmer_table = {
    .struct_size = sizeof(larder_warmer_vt), .create = create, .destroy = destroy,
    .begin = begin, .next = next, .end = end, .cancel = cancel_keys,
};

static int32_t send(void *self, const larder_call *call, const larder_mutation *mutations,
                    size_t n, larder_error *error) {
    instance *me = self;
    errand work = { me->host, me->sink, 0, 0, { 0 }, calloc(n, sizeof *mutations), n };
    (void)error;
    if (!work.mutations) return LARDER_CAPACITY;
    for (size_t i = 0; i < n; i++) {
        work.mutations[i] = mutations[i];
        work.mutations[i].target = copied(&mutations[i].target);
        const larder_bytes *value = &mutations[i].entry.value;
        if (value->vt) value->vt->retain(value->owner);
    }
    __atomic_add_fetch(&me->sent, n, __ATOMIC_SEQ_CST);
    return later(work, call);
}

static int32_t status(void *self, larder_bytes *out) {
    static const char before[] = "[{\"target\": \"eu\", \"queued\": ";
    static const char after[] = ", \"lag_us\": 1500, \"dirty\": true, \"error\": \"away\"}]";
    instance *me = self;
    uint8_t *data;
    size_t len = sizeof before - 1;
    if (me->host->bytes_new(sizeof before + sizeof after - 1, &data, out)) return LARDER_CAPACITY;
    memcpy(data, before, len);
    data[len++] = (uint8_t)('0' + __atomic_load_n(&me->sent, __ATOMIC_SEQ_CST) % 10);
    memcpy(data + len, after, sizeof after - 1);
    return LARDER_OK;
}

static const larder_replicator_vt replicator_table = {
    .struct_size = sizeof(larder_replicator_vt), .create = create, .destroy = destroy,
    .start = NULL, .send = send, .status = status, .stop = stop, .cancel = cancel,
};

static int32_t schema(larder_slice *out) {
    *out = larder_text("{\"type\": \"object\"}");
    return LARDER_OK;
}

#define COMPONENT(kind, name, table) \
    { sizeof(larder_component), kind, 0, LARDER_STR(name), LARDER_STR("for a test"), table, \
      schema, NULL }
static const larder_component parts[] = {
    COMPONENT(LARDER_KIND_INVALIDATOR, "c-echo.invalidator", &invalidator_table),
    COMPONENT(LARDER_KIND_WARMER, "c-echo.warmer", &warmer_table),
    COMPONENT(LARDER_KIND_REPLICATOR, "c-echo.replicator", &replicator_table),
};

static const void *query(const larder_slice *name) {
    if (larder_is(name, "x-ended")) return &ended;
    if (larder_is(name, "x-overtaken")) return &overtaken;
    if (larder_is(name, "x-told")) return &told;
    return larder_is(name, "x-warmed") ? &warmed : NULL;
}

LARDER_DEFINE_PLUGIN_WITH("c-echo", "1.0.0", NULL, query, &parts[0], &parts[1], &parts[2]);
