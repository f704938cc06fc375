/* A backend for Larder in C. Put what you came for in the place of the table.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * rules are those at the top of larder_plugin.h; "R4" below is one of them. */
#include "larder_plugin.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

LARDER_DEFINE_STAMP("acme-demo", "any", 0);

/* Each key has one place, by its hash; a key that comes later takes it from another. */
typedef struct place {
    larder_entry entry; /* its value is a copy of ours */
    uint8_t *key;       /* NULL if there is no entry */
    size_t key_len;
} place;

typedef struct table {
    pthread_mutex_t lock;
    place *places;
    size_t count;
} table;

/* ---- helpers, all but these under the lock --------------------------------------------------- */

static int32_t no_memory(larder_error *error) {
    static const char message[] = "there is no memory", hint[] = "lower `places`";
    error->code = LARDER_CAPACITY;
    error->message.ptr = (const uint8_t *)message;
    error->message.len = sizeof message - 1;
    error->hint.ptr = (const uint8_t *)hint;
    error->hint.len = sizeof hint - 1;
    return LARDER_CAPACITY;
}

/* Inputs are gone when the function returns (R4). */
static uint8_t *copy_of(const uint8_t *from, size_t len) {
    uint8_t *copy = malloc(len ? len : 1);
    if (copy && len) memcpy(copy, from, len);
    return copy;
}

static void empty(place *at) {
    free(at->key);
    free((void *)at->entry.value.ptr);
    memset(at, 0, sizeof *at);
}

static place *place_of(table *self, const larder_key *key) {
    return &self->places[key->hash % self->count];
}

/* NULL if the key is not there, or its time is over. */
static place *find(table *self, const larder_key *key, int64_t now_us) {
    place *at = place_of(self, key);
    int is_it = at->key && at->key_len == key->len && memcmp(at->key, key->ptr, key->len) == 0;
    return is_it && at->entry.hard_us > now_us ? at : NULL;
}

/* The number behind a name. The host has checked the options against the schema below. */
static size_t option(const larder_slice *json, const char *name, size_t otherwise) {
    size_t length = strlen(name);
    for (size_t at = 0; at + length < json->len; at++) {
        if (memcmp(json->ptr + at, name, length) != 0) continue;
        size_t number = 0;
        for (at += length; at < json->len && json->ptr[at] >= '0' && json->ptr[at] <= '9'; at++)
            number = number * 10 + (size_t)(json->ptr[at] - '0');
        return number;
    }
    return otherwise;
}

/* ---- the functions of the backend ------------------------------------------------------------ */

static int32_t table_create(const larder_create *args, void **out, larder_error *error) {
    table *self = calloc(1, sizeof *self);
    if (!self) return no_memory(error);
    self->count = option(&args->config_json, "\"places\":", 65536);
    self->places = calloc(self->count, sizeof *self->places);
    if (!self->places || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self->places);
        free(self);
        return no_memory(error);
    }
    *out = self;
    return LARDER_OK;
}

static int32_t table_clear(void *instance, const larder_call *call, larder_error *error) {
    table *self = instance;
    (void)call, (void)error;
    pthread_mutex_lock(&self->lock);
    for (size_t at = 0; at < self->count; at++) empty(&self->places[at]);
    pthread_mutex_unlock(&self->lock);
    return LARDER_OK;
}

static void table_destroy(void *instance) {
    table *self = instance;
    table_clear(self, NULL, NULL);
    pthread_mutex_destroy(&self->lock);
    free(self->places);
    free(self);
}

/* What the host frees when it is done with it; nobody shares it. */
static void retain_never(void *owner) { (void)owner; }
static const larder_bytes_vt malloc_vt = { retain_never, free };

static int32_t table_get(void *instance, const larder_call *call, const larder_key *key,
                         larder_read *out, larder_error *error) {
    table *self = instance;
    int32_t status = LARDER_MISS;
    pthread_mutex_lock(&self->lock);
    const place *at = find(self, key, call->now_us);
    if (at) {
        larder_bytes *value = &out->entry.value;
        status = LARDER_OK;
        out->entry = at->entry;
        if (value->len <= out->scratch_cap) { /* the host has room, so nobody allocates */
            if (value->len) memcpy(out->scratch, value->ptr, value->len);
            value->ptr = out->scratch;
        } else {
            uint8_t *copy = copy_of(value->ptr, value->len);
            *value = (larder_bytes){ copy, copy ? value->len : 0, copy, copy ? &malloc_vt : NULL };
            if (!copy) status = no_memory(error);
        }
    }
    pthread_mutex_unlock(&self->lock);
    return status;
}

static int32_t table_set(void *instance, const larder_call *call, const larder_key *key,
                         const larder_entry *entry, larder_error *error) {
    table *self = instance;
    int32_t status = LARDER_OK;
    (void)call;
    pthread_mutex_lock(&self->lock);
    place *at = place_of(self, key);
    empty(at); /* first: a set that fails must not leave the entry of before */
    uint8_t *name = copy_of(key->ptr, key->len);
    uint8_t *value = copy_of(entry->value.ptr, entry->value.len);
    if (name && value) {
        at->key = name;
        at->key_len = key->len;
        at->entry = *entry;
        at->entry.value = (larder_bytes){ value, entry->value.len, NULL, NULL };
    } else {
        free(name);
        free(value);
        status = no_memory(error);
    }
    pthread_mutex_unlock(&self->lock);
    return status;
}

static int32_t table_remove(void *instance, const larder_call *call, const larder_key *key,
                            larder_error *error) {
    table *self = instance;
    (void)error;
    pthread_mutex_lock(&self->lock);
    place *at = find(self, key, call->now_us);
    if (at) empty(at);
    pthread_mutex_unlock(&self->lock);
    return at ? LARDER_OK : LARDER_MISS;
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_backend_vt backend = {
    .struct_size = sizeof(larder_backend_vt),
    .create = table_create,
    .destroy = table_destroy,
    .get = table_get,
    .set = table_set,
    .remove = table_remove,
    .clear = table_clear,
};

static int32_t schema(larder_slice *out) {
    static const char json[] =
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"places\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 100000000,"
        " \"default\": 65536, \"description\": \"How many entries there is room for.\"}}}";
    out->ptr = (const uint8_t *)json;
    out->len = sizeof json - 1;
    return LARDER_OK;
}

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_BACKEND,
    .caps = LARDER_CAP_SYNC, /* it waits for nothing but memory */
    .name = LARDER_STR("acme.demo"),
    .summary = LARDER_STR("a table in memory, written in C"),
    .vtable = &backend,
    .config_schema = schema,
};

static const larder_component *const components[] = { &component };

static const larder_plugin plugin = {
    .struct_size = sizeof(larder_plugin),
    .abi_major = LARDER_ABI_MAJOR,
    .abi_minor = LARDER_TARGET_MINOR,
    .name = LARDER_STR("acme-demo"),
    .version = LARDER_STR("0.1.0"),
    .components = components,
    .n_components = 1,
};

LARDER_EXPORT int32_t larder_entry_v1(const larder_host *host, const larder_plugin **out,
                                      larder_error *error) {
    (void)host, (void)error;
    *out = &plugin;
    return LARDER_OK;
}
