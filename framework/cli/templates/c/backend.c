/* A backend for Larder in C. Put what you came for in the place of the table.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * rules are those at the top of larder_plugin.h; "R4" below is one of them. */
#include "larder_plugin_easy.h"

#include <pthread.h>

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

/* ---- the table, always under the lock -------------------------------------------------------- */

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

/* ---- the functions of the backend ------------------------------------------------------------ */

static int32_t table_create(const larder_create *args, void **out, larder_error *error) {
    table *self = calloc(1, sizeof *self);
    if (!self) return larder_no_memory(error);
    self->count = (size_t)larder_number(&args->config_json, "places", 65536);
    self->places = calloc(self->count, sizeof *self->places);
    if (!self->places || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self->places);
        free(self);
        return larder_no_memory(error);
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

static int32_t table_get(void *instance, const larder_call *call, const larder_key *key,
                         larder_read *out, larder_error *error) {
    table *self = instance;
    int32_t status = LARDER_MISS;
    pthread_mutex_lock(&self->lock);
    const place *at = find(self, key, call->now_us);
    if (at) {
        const larder_bytes *value = &at->entry.value;
        out->entry = at->entry;
        uint8_t *to = larder_room_in(out->scratch, out->scratch_cap, value->len, &out->entry.value);
        if (to && value->len) memcpy(to, value->ptr, value->len);
        status = to ? LARDER_OK : larder_no_memory(error);
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
    uint8_t *name = larder_copy(key->ptr, key->len);
    uint8_t *value = larder_copy(entry->value.ptr, entry->value.len);
    if (name && value) {
        at->key = name;
        at->key_len = key->len;
        at->entry = *entry;
        at->entry.value = (larder_bytes){ value, entry->value.len, NULL, NULL };
    } else {
        free(name);
        free(value);
        status = larder_no_memory(error);
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
    *out = larder_text(
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"places\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 100000000,"
        " \"default\": 65536, \"description\": \"How many entries there is room for.\"}}}");
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

LARDER_DEFINE_PLUGIN("acme-demo", "0.1.0", &component);
