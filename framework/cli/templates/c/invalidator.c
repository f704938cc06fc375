/* An invalidator for Larder in C: a file that several processes append to and read. A line is the
 * key of an entry that changed. Put what you came for in its place.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * rules are those at the top of larder_plugin.h. Deliveries wait for the cache, so a thread of the
 * plugin makes them. */
#include "larder_plugin_easy.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

/* The longest key; what is longer is not told. */
#define LONGEST 1024

typedef struct lines {
    const larder_host *host;
    uint64_t sink;
    char *path;
    FILE *file; /* of the thread */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    int is_started; /* this and the next one under the lock */
    int is_over;
} lines;

static int32_t lines_create(const larder_create *args, void **out, larder_error *error) {
    lines *self = calloc(1, sizeof *self);
    if (!self) return larder_no_memory(error);
    self->host = args->host;
    self->sink = args->sink;
    self->path = larder_string(&args->config_json, "path", "changed.txt");
    if (!self->path || pthread_mutex_init(&self->lock, NULL) != 0 ||
        pthread_cond_init(&self->ended, NULL) != 0) {
        free(self->path);
        free(self);
        return larder_no_memory(error);
    }
    *out = self;
    return LARDER_OK;
}

static int is_over(lines *self) {
    pthread_mutex_lock(&self->lock);
    int over = self->is_over;
    pthread_mutex_unlock(&self->lock);
    return over;
}

/* Delivers a line until the cache has taken it, or nobody wants any more. */
static void deliver(lines *self, const char *line, size_t len) {
    larder_invalidation event = { .scope = LARDER_SCOPE_KEY };
    event.target = (larder_slice){ (const uint8_t *)line, len };
    event.version.time_us = (uint64_t)self->host->now_us();
    while (!is_over(self)) {
        int32_t status = self->host->sink_invalidate(self->sink, &event, 1);
        if (status != LARDER_TIMEOUT && status != LARDER_BUSY) return;
    }
}

/* A tenth of a second, or until it is over. */
static void wait_a_little(lines *self) {
    const long second = 1000 * 1000 * 1000;
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    until.tv_nsec += second / 10;
    until.tv_sec += until.tv_nsec / second;
    until.tv_nsec %= second;
    pthread_mutex_lock(&self->lock);
    if (!self->is_over) pthread_cond_timedwait(&self->ended, &self->lock, &until);
    pthread_mutex_unlock(&self->lock);
}

static void *follow(void *instance) {
    lines *self = instance;
    char line[LONGEST + 1];
    size_t len = 0;
    while (!is_over(self)) {
        int next = fgetc(self->file);
        if (next == EOF) {
            clearerr(self->file);
            wait_a_little(self);
        } else if (next == '\n') {
            if (len > 0 && len <= LONGEST) deliver(self, line, len);
            len = 0;
        } else {
            if (len < LONGEST) line[len] = (char)next;
            len++;
        }
    }
    return NULL;
}

static int32_t lines_start(void *instance, const larder_call *call, larder_error *error) {
    lines *self = instance;
    (void)call;
    self->file = fopen(self->path, "a+"); /* makes it, if it is not there */
    if (!self->file)
        return larder_fail(error, LARDER_CONNECTION, "the file cannot be opened", "see `path`");
    /* What was written before concerns nobody: the cache has read nothing yet. */
    fseek(self->file, 0, SEEK_END);
    pthread_mutex_lock(&self->lock);
    self->is_started = pthread_create(&self->thread, NULL, follow, self) == 0;
    int32_t status = self->is_started ? LARDER_OK : larder_no_memory(error);
    pthread_mutex_unlock(&self->lock);
    return status;
}

static int32_t lines_publish(void *instance, const larder_call *call,
                             const larder_invalidation *event, larder_error *error) {
    const lines *self = instance;
    (void)call;
    if (event->scope != LARDER_SCOPE_KEY || event->target.len > LONGEST ||
        memchr(event->target.ptr, '\n', event->target.len))
        return larder_fail(error, LARDER_UNSUPPORTED, "a line can only tell a short key", NULL);
    FILE *file = fopen(self->path, "a");
    int is_written = file && fwrite(event->target.ptr, 1, event->target.len, file) &&
                     fputc('\n', file) != EOF;
    if (file && fclose(file) == 0 && is_written) return LARDER_OK;
    return larder_fail(error, LARDER_INVALIDATION, "the file cannot be written", "see `path`");
}

/* After it the sink is not called any more. */
static int32_t lines_stop(void *instance, const larder_call *call, larder_error *error) {
    lines *self = instance;
    (void)call, (void)error;
    pthread_mutex_lock(&self->lock);
    int is_mine = self->is_started;
    self->is_started = 0;
    self->is_over = 1;
    pthread_cond_signal(&self->ended);
    pthread_mutex_unlock(&self->lock);
    if (is_mine) pthread_join(self->thread, NULL);
    return LARDER_OK;
}

static void lines_destroy(void *instance) {
    lines *self = instance;
    lines_stop(self, NULL, NULL);
    if (self->file) fclose(self->file);
    pthread_cond_destroy(&self->ended);
    pthread_mutex_destroy(&self->lock);
    free(self->path);
    free(self);
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_invalidator_vt invalidator = {
    .struct_size = sizeof(larder_invalidator_vt),
    .create = lines_create,
    .destroy = lines_destroy,
    .start = lines_start,
    .publish = lines_publish,
    .stop = lines_stop,
};

static int32_t schema(larder_slice *out) {
    *out = larder_text(
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"path\": {\"type\": \"string\", \"default\": \"changed.txt\","
        " \"description\": \"The file with a key in each line.\"}}}");
    return LARDER_OK;
}

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_INVALIDATOR,
    .caps = LARDER_CAP_BLOCKING, /* it writes a file, and waits for its thread */
    .name = LARDER_STR("acme.demo"),
    .summary = LARDER_STR("keys that changed, from lines of a file, in C"),
    .vtable = &invalidator,
    .config_schema = schema,
};

LARDER_DEFINE_PLUGIN("acme-demo", "0.1.0", &component);
