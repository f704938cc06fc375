/* A replicator for Larder in C: writes every change of the cache to a journal, for others to read.
 * It brings nothing back; one that does calls sink_apply of the host with the number `sink` of
 * larder_create, from a thread of its own. Put what you came for in its place.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * rules are those at the top of larder_plugin.h. */
#include "larder_plugin_easy.h"

#include <pthread.h>
#include <stdio.h>

typedef struct journal {
    pthread_mutex_t lock;
    char *path;
    FILE *file; /* NULL if it is not started */
} journal;

static int32_t journal_create(const larder_create *args, void **out, larder_error *error) {
    journal *self = calloc(1, sizeof *self);
    if (!self) return larder_no_memory(error);
    self->path = larder_string(&args->config_json, "path", "changes.log");
    if (!self->path || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self->path);
        free(self);
        return larder_no_memory(error);
    }
    *out = self;
    return LARDER_OK;
}

static void journal_destroy(void *instance) {
    journal *self = instance;
    if (self->file) fclose(self->file);
    pthread_mutex_destroy(&self->lock);
    free(self->path);
    free(self);
}

static int32_t journal_start(void *instance, const larder_call *call, larder_error *error) {
    journal *self = instance;
    (void)call;
    pthread_mutex_lock(&self->lock);
    if (!self->file) self->file = fopen(self->path, "a");
    int is_open = self->file != NULL;
    pthread_mutex_unlock(&self->lock);
    if (is_open) return LARDER_OK;
    return larder_fail(error, LARDER_CONNECTION, "the journal cannot be opened", "see `path`");
}

/* A line for each: what, when, and of which key or of what the scope names. */
static int32_t journal_send(void *instance, const larder_call *call,
                            const larder_mutation *mutations, size_t n, larder_error *error) {
    static const char *const names[] = { "other", "put", "delete", "invalidate" };
    journal *self = instance;
    (void)call;
    pthread_mutex_lock(&self->lock);
    for (size_t at = 0; self->file && at < n; at++) {
        const larder_mutation *one = &mutations[at];
        const char *name = names[one->op <= LARDER_MUTATION_INVALIDATE ? one->op : 0];
        fprintf(self->file, "%s %llu ", name, (unsigned long long)one->entry.version.time_us);
        fwrite(one->target.ptr, 1, one->target.len, self->file);
        fputc('\n', self->file);
    }
    int is_written = self->file && fflush(self->file) == 0;
    pthread_mutex_unlock(&self->lock);
    if (is_written) return LARDER_OK;
    return larder_fail(error, LARDER_CONNECTION, "the journal cannot be written", NULL);
}

/* Nothing ever waits: what is not written is an error of send. */
static int32_t journal_status(void *instance, larder_bytes *out) {
    static const char json[] =
        "[{\"target\": \"journal\", \"queued\": 0, \"lag_us\": 0, \"dirty\": false,"
        " \"error\": null}]";
    (void)instance;
    *out = (larder_bytes){ (const uint8_t *)json, sizeof json - 1, NULL, NULL };
    return LARDER_OK;
}

static int32_t journal_stop(void *instance, const larder_call *call, larder_error *error) {
    journal *self = instance;
    (void)call, (void)error;
    pthread_mutex_lock(&self->lock);
    if (self->file) fclose(self->file);
    self->file = NULL;
    pthread_mutex_unlock(&self->lock);
    return LARDER_OK;
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_replicator_vt replicator = {
    .struct_size = sizeof(larder_replicator_vt),
    .create = journal_create,
    .destroy = journal_destroy,
    .start = journal_start,
    .send = journal_send,
    .status = journal_status,
    .stop = journal_stop,
};

static int32_t schema(larder_slice *out) {
    *out = larder_text(
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"path\": {\"type\": \"string\", \"default\": \"changes.log\","
        " \"description\": \"The file with a change in each line.\"}}}");
    return LARDER_OK;
}

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_REPLICATOR,
    .caps = LARDER_CAP_BLOCKING, /* it writes a file */
    .name = LARDER_STR("acme.demo"),
    .summary = LARDER_STR("writes changes to a journal, in C"),
    .vtable = &replicator,
    .config_schema = schema,
};

LARDER_DEFINE_PLUGIN("acme-demo", "0.1.0", &component);
