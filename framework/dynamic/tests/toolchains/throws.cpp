// A backend in C++ that throws past `noexcept`, which ends the process: R5 of the header.
#include <cstdint>

#include "larder_plugin.h"

LARDER_DEFINE_STAMP("acme.throws", "here", 0);

static int32_t create(const larder_create *, void **self, larder_error *) noexcept {
    static int instance;
    *self = &instance;
    return LARDER_OK;
}
static void destroy(void *) noexcept {}
static int32_t get(void *, const larder_call *, const larder_key *key, larder_read *,
                   larder_error *) noexcept {
    if (key->len == 5) throw 7;
    return LARDER_MISS;
}
static int32_t set(void *, const larder_call *, const larder_key *, const larder_entry *,
                   larder_error *) noexcept {
    return LARDER_OK;
}
static int32_t del(void *, const larder_call *, const larder_key *, larder_error *) noexcept {
    return LARDER_MISS;
}
static int32_t clear(void *, const larder_call *, larder_error *) noexcept { return LARDER_OK; }

static larder_backend_vt table;
static larder_component component;
static const larder_component *const list[] = { &component };
static larder_plugin plugin;

extern "C" int32_t larder_entry_v1(const larder_host *, const larder_plugin **out,
                                   larder_error *) {
    static const larder_slice name = LARDER_STR("acme.throws"), version = LARDER_STR("1.0.0");
    table.struct_size = sizeof table;
    table.create = create;
    table.destroy = destroy;
    table.get = get;
    table.set = set;
    table.remove = del;
    table.clear = clear;
    component.struct_size = sizeof component;
    component.kind = LARDER_KIND_BACKEND;
    component.caps = LARDER_CAP_SYNC;
    component.name = component.summary = name;
    component.vtable = &table;
    plugin.struct_size = sizeof plugin;
    plugin.abi_major = LARDER_ABI_MAJOR;
    plugin.name = name;
    plugin.version = version;
    plugin.components = list;
    plugin.n_components = 1;
    *out = &plugin;
    return LARDER_OK;
}
