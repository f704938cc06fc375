/* A backend in which nothing ever is: what a call costs that does no work. */
#include <larder_plugin_easy.h>

static int32_t create(const larder_create *args, void **self, larder_error *error) {
    (void)args, (void)error;
    *self = NULL;
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

static int32_t remove_(void *self, const larder_call *call, const larder_key *key,
                       larder_error *error) {
    (void)self, (void)call, (void)key, (void)error;
    return LARDER_MISS;
}

static int32_t clear(void *self, const larder_call *call, larder_error *error) {
    (void)self, (void)call, (void)error;
    return LARDER_OK;
}

static const larder_backend_vt table = {
    .struct_size = sizeof(larder_backend_vt),
    .create = create,
    .destroy = destroy,
    .get = get,
    .set = set,
    .remove = remove_,
    .clear = clear,
};

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_BACKEND,
    .caps = LARDER_CAP_SYNC,
    .name = LARDER_STR("bench.nothing"),
    .summary = LARDER_STR("keeps nothing"),
    .vtable = &table,
};

LARDER_DEFINE_PLUGIN("nothing", "1.0.0", &component);
