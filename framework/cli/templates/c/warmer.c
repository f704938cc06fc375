/* A warmer for Larder in C: names the keys that a file lists, one a line, the most important first.
 * Put what you came for in its place.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * host calls the functions of a run one after the other; the rules are at the top of
 * larder_plugin.h, and "R4" below is one of them. */
#include "larder_plugin_easy.h"

#include <stdio.h>

/* The longest key; what is longer counts as two. */
#define LONGEST 1024

/* Its path, which does not change after create. */
typedef struct list {
    char *path;
} list;

static int32_t list_create(const larder_create *args, void **out, larder_error *error) {
    list *self = malloc(sizeof *self);
    if (!self) return larder_no_memory(error);
    self->path = larder_string(&args->config_json, "path", "keys.txt");
    if (!self->path) {
        free(self);
        return larder_no_memory(error);
    }
    *out = self;
    return LARDER_OK;
}

static void list_destroy(void *instance) {
    list *self = instance;
    free(self->path);
    free(self);
}

/* A run is the open file. */
static int32_t list_begin(void *instance, uint32_t trigger, void **run, uint64_t *estimate,
                          larder_error *error) {
    const list *self = instance;
    (void)trigger;
    *estimate = LARDER_UNLIMITED; /* nobody counts the lines first */
    *run = fopen(self->path, "r");
    if (*run) return LARDER_OK;
    return larder_fail(error, LARDER_CONNECTION, "the list cannot be opened", "see `path`");
}

static int32_t list_next(void *instance, void *run, const larder_call *call,
                         larder_warm_batch *out, larder_error *error) {
    char line[LONGEST];
    (void)instance, (void)call;
    while (out->n < out->cap && fgets(line, sizeof line, run)) {
        size_t len = strcspn(line, "\r\n");
        if (len == 0) continue;
        uint8_t *key = larder_copy((const uint8_t *)line, len);
        if (!key) return larder_no_memory(error);
        /* The host frees it when it is done (R4). */
        out->items[out->n].key = (larder_bytes){ key, len, key, &larder_malloc_vt };
        out->n++;
    }
    return out->n > 0 ? LARDER_OK : LARDER_MISS;
}

static void list_end(void *instance, void *run, const larder_warm_stats *stats) {
    (void)instance, (void)stats;
    fclose(run);
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_warmer_vt warmer = {
    .struct_size = sizeof(larder_warmer_vt),
    .create = list_create,
    .destroy = list_destroy,
    .begin = list_begin,
    .next = list_next,
    .end = list_end,
};

static int32_t schema(larder_slice *out) {
    *out = larder_text(
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"path\": {\"type\": \"string\", \"default\": \"keys.txt\","
        " \"description\": \"The file with a key in each line.\"}}}");
    return LARDER_OK;
}

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_WARMER,
    .caps = LARDER_CAP_BLOCKING, /* it reads a file */
    .name = LARDER_STR("acme.demo"),
    .summary = LARDER_STR("names the keys of a list, in C"),
    .vtable = &warmer,
    .config_schema = schema,
};

LARDER_DEFINE_PLUGIN("acme-demo", "0.1.0", &component);
