/* A backend for Larder in C: a table in memory, behind one lock.
 *
 *     cc -std=c11 -O2 -fPIC -shared -fvisibility=hidden -I path/to/include \
 *        -o libc-shelf.so shelf.c -lpthread
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * rules that it follows are those at the top of larder_plugin.h; "R4" below is one of them. */
#include <larder_plugin_easy.h>

#include <pthread.h>
#include <stdio.h>

/* An entry, in a list with others of the same bucket. */
typedef struct node {
    struct node *next;
    uint64_t hash;
    larder_entry entry; /* its value is ours: see keep */
    size_t key_len;
    uint8_t key[]; /* at the end, in the same block of memory */
} node;

typedef struct shelf {
    pthread_mutex_t lock;
    node **buckets; /* as many as a power of two, for ever: a cursor is the number of one */
    size_t mask;
    size_t count;
    size_t capacity;
    uint64_t bytes;
} shelf;

/* ---- values ---------------------------------------------------------------------------------- */

/* Makes a borrowed value ours (R4): one more owner if it has one, else a copy. 0 if there is no
 * memory. */
static int keep(larder_bytes *value) {
    if (value->vt) {
        value->vt->retain(value->owner);
        return 1;
    }
    uint8_t *copy = larder_copy(value->ptr, value->len);
    if (!copy) return 0;
    value->ptr = copy;
    value->owner = copy;
    return 1;
}

/* Makes a value of ours one for the host: one more owner, or a copy. */
static int hand_over(larder_bytes *value) {
    int is_copy = !value->vt;
    if (!keep(value)) return 0;
    if (is_copy) value->vt = &larder_malloc_vt;
    return 1;
}

static void drop(larder_bytes *value) {
    if (value->vt) value->vt->release(value->owner);
    else free(value->owner);
}

/* ---- the table, always under the lock -------------------------------------------------------- */

static node **find(shelf *self, const larder_key *key) {
    node **at = &self->buckets[key->hash & self->mask];
    for (; *at; at = &(*at)->next) {
        if ((*at)->hash == key->hash && (*at)->key_len == key->len &&
            memcmp((*at)->key, key->ptr, key->len) == 0)
            break;
    }
    return at;
}

static void unlink_node(shelf *self, node **at) {
    node *gone = *at;
    *at = gone->next;
    self->count--;
    self->bytes -= gone->entry.value.len;
    drop(&gone->entry.value);
    free(gone);
}

/* The place of an entry that is not over; an entry that is over is removed on the way. */
static node **find_living(shelf *self, const larder_key *key, int64_t now_us) {
    node **at = find(self, key);
    if (*at && (*at)->entry.hard_us <= now_us) {
        unlink_node(self, at);
        return NULL;
    }
    return *at ? at : NULL;
}

/* The old entry goes first: a set that fails leaves none, not the one of before. */
static int32_t store(shelf *self, const larder_key *key, const larder_entry *entry,
                     larder_error *error) {
    node **at = find(self, key);
    if (*at) unlink_node(self, at);
    if (self->count >= self->capacity)
        return larder_fail(error, LARDER_CAPACITY, "the shelf is full", "raise `capacity`");
    node *fresh = malloc(sizeof *fresh + key->len);
    if (!fresh) return larder_no_memory(error);
    fresh->entry = *entry;
    if (!keep(&fresh->entry.value)) {
        free(fresh);
        return larder_no_memory(error);
    }
    fresh->hash = key->hash;
    fresh->key_len = key->len;
    memcpy(fresh->key, key->ptr, key->len);
    fresh->next = self->buckets[key->hash & self->mask];
    self->buckets[key->hash & self->mask] = fresh;
    self->count++;
    self->bytes += entry->value.len;
    return LARDER_OK;
}

/* ---- the functions of the backend ------------------------------------------------------------ */

static int32_t shelf_create(const larder_create *args, void **out, larder_error *error) {
    shelf *self = calloc(1, sizeof *self);
    if (!self) return larder_no_memory(error);
    self->capacity = (size_t)larder_number(&args->config_json, "capacity", 10000);
    size_t buckets = 16;
    while (buckets < self->capacity) buckets *= 2;
    self->mask = buckets - 1;
    self->buckets = calloc(buckets, sizeof *self->buckets);
    if (!self->buckets || pthread_mutex_init(&self->lock, NULL) != 0) {
        free(self->buckets);
        free(self);
        return larder_no_memory(error);
    }
    *out = self;
    return LARDER_OK;
}

static int32_t shelf_clear(void *instance, const larder_call *call, larder_error *error) {
    shelf *self = instance;
    (void)call, (void)error;
    pthread_mutex_lock(&self->lock);
    for (size_t bucket = 0; bucket <= self->mask; bucket++)
        while (self->buckets[bucket]) unlink_node(self, &self->buckets[bucket]);
    pthread_mutex_unlock(&self->lock);
    return LARDER_OK;
}

static void shelf_destroy(void *instance) {
    shelf *self = instance;
    shelf_clear(self, NULL, NULL);
    pthread_mutex_destroy(&self->lock);
    free(self->buckets);
    free(self);
}

static int32_t shelf_get(void *instance, const larder_call *call, const larder_key *key,
                         larder_read *out, larder_error *error) {
    shelf *self = instance;
    int32_t status = LARDER_OK;
    pthread_mutex_lock(&self->lock);
    node **at = find_living(self, key, call->now_us);
    if (at) {
        out->entry = (*at)->entry;
        larder_bytes *value = &out->entry.value;
        if (value->len <= out->scratch_cap) { /* short: the host has room, nobody allocates */
            if (value->len) memcpy(out->scratch, value->ptr, value->len);
            value->ptr = out->scratch;
            value->owner = NULL;
            value->vt = NULL;
        } else if (!hand_over(value)) {
            status = larder_no_memory(error);
        }
    }
    pthread_mutex_unlock(&self->lock);
    return at ? status : LARDER_MISS;
}

static int32_t shelf_set(void *instance, const larder_call *call, const larder_key *key,
                         const larder_entry *entry, larder_error *error) {
    shelf *self = instance;
    (void)call;
    pthread_mutex_lock(&self->lock);
    int32_t status = store(self, key, entry, error);
    pthread_mutex_unlock(&self->lock);
    return status;
}

static int32_t shelf_put_if_newer(void *instance, const larder_call *call, const larder_key *key,
                                  const larder_entry *entry, larder_error *error) {
    shelf *self = instance;
    int32_t status = LARDER_MISS;
    pthread_mutex_lock(&self->lock);
    node **at = find_living(self, key, call->now_us);
    const larder_version *there = at ? &(*at)->entry.version : NULL, *ours = &entry->version;
    if (!there || there->time_us < ours->time_us ||
        (there->time_us == ours->time_us && there->origin < ours->origin))
        status = store(self, key, entry, error);
    pthread_mutex_unlock(&self->lock);
    return status;
}

static int32_t shelf_remove(void *instance, const larder_call *call, const larder_key *key,
                            larder_error *error) {
    shelf *self = instance;
    (void)error;
    pthread_mutex_lock(&self->lock);
    node **at = find_living(self, key, call->now_us);
    if (at) unlink_node(self, at);
    pthread_mutex_unlock(&self->lock);
    return at ? LARDER_OK : LARDER_MISS;
}

static int32_t shelf_exists(void *instance, const larder_call *call, const larder_key *key,
                            larder_error *error) {
    shelf *self = instance;
    (void)error;
    pthread_mutex_lock(&self->lock);
    node **at = find_living(self, key, call->now_us);
    pthread_mutex_unlock(&self->lock);
    return at ? LARDER_OK : LARDER_MISS;
}

static int32_t shelf_touch(void *instance, const larder_call *call, const larder_key *key,
                           int64_t soft_us, int64_t hard_us, larder_error *error) {
    shelf *self = instance;
    (void)error;
    pthread_mutex_lock(&self->lock);
    node **at = find_living(self, key, call->now_us);
    if (at) {
        (*at)->entry.soft_us = soft_us;
        (*at)->entry.hard_us = hard_us;
    }
    pthread_mutex_unlock(&self->lock);
    return at ? LARDER_OK : LARDER_MISS;
}

/* ---- a page of keys --------------------------------------------------------------------------- */

/* Keys as the header wants them: the length in 4 bytes, little endian, and the key. */
typedef struct text {
    uint8_t *ptr;
    size_t len, cap, keys;
} text;

static int append(text *page, const node *entry) {
    size_t needed = page->len + 4 + entry->key_len;
    if (needed > page->cap) {
        uint8_t *larger = realloc(page->ptr, needed * 2);
        if (!larger) return 0;
        page->ptr = larger;
        page->cap = needed * 2;
    }
    for (int byte = 0; byte < 4; byte++)
        page->ptr[page->len++] = (uint8_t)(entry->key_len >> (8 * byte));
    memcpy(page->ptr + page->len, entry->key, entry->key_len);
    page->len += entry->key_len;
    page->keys++;
    return 1;
}

/* Whole buckets, until there are enough keys. The cursor is the number of the next one. */
static int32_t shelf_scan(void *instance, const larder_call *call, const larder_slice *prefix,
                          const larder_slice *cursor, size_t limit, larder_page *out,
                          larder_error *error) {
    shelf *self = instance;
    text page = { NULL, 0, 0, 0 };
    size_t bucket = 0;
    int is_complete = 1;
    for (size_t at = 0; at < cursor->len; at++)
        bucket = bucket * 10 + (size_t)(cursor->ptr[at] - '0');
    if (limit == 0) limit = 1000;
    pthread_mutex_lock(&self->lock);
    for (; is_complete && bucket <= self->mask && page.keys < limit; bucket++) {
        for (node *entry = self->buckets[bucket]; entry && is_complete; entry = entry->next) {
            if (entry->entry.hard_us <= call->now_us || entry->key_len < prefix->len ||
                (prefix->len && memcmp(entry->key, prefix->ptr, prefix->len) != 0))
                continue;
            is_complete = append(&page, entry);
        }
    }
    int is_end = bucket > self->mask;
    pthread_mutex_unlock(&self->lock);
    char *next = is_end ? NULL : malloc(24);
    if (!is_complete || (!is_end && !next)) {
        free(page.ptr);
        free(next);
        return larder_fail(error, LARDER_CAPACITY, "there is no memory", "ask for fewer keys a page");
    }
    out->keys = (larder_bytes){ page.ptr, page.len, page.ptr, &larder_malloc_vt };
    if (next) {
        int length = snprintf(next, 24, "%zu", bucket);
        out->next = (larder_bytes){ (uint8_t *)next, (size_t)length, next, &larder_malloc_vt };
    }
    return LARDER_OK;
}

static int32_t shelf_health(void *instance, const larder_call *call, larder_health *out,
                            larder_error *error) {
    shelf *self = instance;
    (void)call, (void)error;
    pthread_mutex_lock(&self->lock);
    out->flags = LARDER_HEALTH_ENTRIES | LARDER_HEALTH_BYTES;
    out->entries = self->count;
    out->bytes = self->bytes;
    pthread_mutex_unlock(&self->lock);
    return LARDER_OK;
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_backend_vt backend = {
    .struct_size = sizeof(larder_backend_vt),
    .create = shelf_create,
    .destroy = shelf_destroy,
    .get = shelf_get,
    .set = shelf_set,
    .remove = shelf_remove,
    .clear = shelf_clear,
    .exists = shelf_exists,
    .touch = shelf_touch,
    .scan = shelf_scan,
    .put_if_newer = shelf_put_if_newer,
    .health = shelf_health,
};

static int32_t schema(larder_slice *out) {
    *out = larder_text(
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"capacity\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 100000000,"
        " \"default\": 10000, \"description\": \"How many entries fit.\"}}}");
    return LARDER_OK;
}

static const larder_component shelf_component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_BACKEND,
    .caps = LARDER_CAP_SYNC | LARDER_CAP_TOUCH | LARDER_CAP_SCAN | LARDER_CAP_PUT_IF_NEWER,
    .name = LARDER_STR("acme.c-shelf"),
    .summary = LARDER_STR("a table in memory, written in C"),
    .vtable = &backend,
    .config_schema = schema,
};

LARDER_DEFINE_PLUGIN("c-shelf", "1.0.0", &shelf_component);
