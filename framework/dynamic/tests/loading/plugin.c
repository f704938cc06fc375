/* A plugin whose parts the tests replace with -D. */
#include <stdio.h>
#include "larder_plugin.h"

#ifndef KIND
#define KIND NAME
#endif
#ifndef CAPS
#define CAPS LARDER_CAP_SYNC
#endif
#ifndef GET
#define GET get
#endif
#ifndef SCHEMA
#define SCHEMA 0
#endif
#ifndef TABLE
#define TABLE &table
#endif
#ifndef MORE
#define MORE
#endif
#ifndef COUNT
#define COUNT sizeof list / sizeof *list
#endif
#ifndef OUT
#define OUT &plugin
#endif
#ifndef SIZE
#define SIZE sizeof(larder_plugin)
#endif
#ifndef DESCRIBED
#define DESCRIBED NAME
#endif

static void note(const char *path, char what) {
    FILE *file = fopen(path, "a");
    if (file) {
        fputc(what, file);
        fclose(file);
    }
}

/* Runs when the library is loaded, before anything can be asked. */
__attribute__((constructor)) static void constructed(void) { note(PROBE, 'c'); }

#ifndef NO_PLUGIN
LARDER_DEFINE_STAMP(NAME, "somewhere", 0);

static int32_t create(const larder_create *args, void **self, larder_error *error) {
    static int instance;
    (void)args, (void)error;
    *self = &instance;
    return LARDER_OK;
}
static void destroy(void *self) { (void)self; }
static int32_t get(void *self, const larder_call *call, const larder_key *key, larder_read *out,
                   larder_error *error) {
    (void)self, (void)call, (void)key, (void)out, (void)error;
    return LARDER_MISS;
}
static int32_t set(void *self, const larder_call *call, const larder_key *key,
                   const larder_entry *entry, larder_error *error) {
    (void)self, (void)call, (void)key, (void)entry, (void)error;
    return LARDER_OK;
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

static const larder_backend_vt table = {
    .struct_size = sizeof(table), .create = create, .destroy = destroy, .get = GET, .set = set,
    .remove = del, .clear = clear,
};

static inline int32_t no_json(larder_slice *out) {
    static const larder_slice text = LARDER_STR("{ size = 3 }");
    *out = text;
    return LARDER_OK;
}
static inline int32_t no_object(larder_slice *out) {
    static const larder_slice text = LARDER_STR("[]");
    *out = text;
    return LARDER_OK;
}
static inline int32_t no_answer(larder_slice *out) {
    (void)out;
    return LARDER_ERROR;
}
static inline int32_t long_schema(larder_slice *out) {
    static char text[2 << 20];
    for (size_t i = 0; i < sizeof text; i++) text[i] = ' ';
    out->ptr = (const uint8_t *)text;
    out->len = sizeof text;
    return LARDER_OK;
}
static inline int32_t with_size(larder_slice *out) {
    static const larder_slice text = LARDER_STR(
        "{\"type\": \"object\", \"properties\": {\"size\": {\"type\": \"integer\"}},"
        " \"additionalProperties\": false}");
    *out = text;
    return LARDER_OK;
}

#define COMPONENT(kind, name) \
    { sizeof(larder_component), kind, CAPS, LARDER_STR(name), LARDER_STR("keeps nothing"), TABLE, \
      SCHEMA, 0 }
static const larder_component backend = COMPONENT(LARDER_KIND_BACKEND, KIND);
static const larder_component future = COMPONENT(77u, KIND);
static const larder_component *const list[] = { &backend, MORE };
static const larder_plugin plugin = {
    .struct_size = SIZE, .abi_major = 1, .name = LARDER_STR(DESCRIBED),
    .version = LARDER_STR("1.2.3"), .components = list, .n_components = COUNT,
};

#ifdef ENTRY_IS_DATA
LARDER_EXPORT const int larder_entry_v1_is = 1;
__asm__(".globl larder_entry_v1\n.set larder_entry_v1, larder_entry_v1_is\n"
        ".type larder_entry_v1, %object");
#elif defined(ENTRY)
int32_t ENTRY(void);
int32_t ENTRY(void) { return 0; }
#else
int32_t larder_entry_v1(const larder_host *host, const larder_plugin **out, larder_error *error) {
    (void)host, (void)future;
    note(PROBE, 'e');
#ifdef FAILS
    static const larder_slice why = LARDER_STR("the licence has expired");
    error->message.ptr = why.ptr;
    error->message.len = why.len;
    return LARDER_CONFIG;
#endif
    (void)error;
    *out = (const larder_plugin *)(OUT);
    return LARDER_OK;
}
#endif
#endif
