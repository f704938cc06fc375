/* Loads the library without Larder, as a host would, and makes an instance of each component: good
 * under valgrind. Add what your functions have to do. */
#include "larder_plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int32_t entry_fn(const larder_host *, const larder_plugin **, larder_error *);
typedef int32_t create_fn(const larder_create *, void **, larder_error *);
typedef void destroy_fn(void *);

static void must(int is_so, const char *what) {
    if (is_so) return;
    fprintf(stderr, "not so: %s\n", what);
    exit(1);
}

static void make_and_end(create_fn *create, destroy_fn *destroy) {
    larder_create args = {
        .struct_size = sizeof args,
        .instance = 1,
        .cache = LARDER_STR("tested"),
        .config_json = LARDER_STR("{}"),
        .max_value_bytes = LARDER_UNLIMITED,
    };
    larder_error error = { .struct_size = sizeof error };
    void *self = NULL;
    must(create(&args, &self, &error) == LARDER_OK, "an instance can be made without options");
    destroy(self);
}

/* Every table has both functions. */
#define TRY(type, component) \
    make_and_end(((const type *)(component)->vtable)->create, \
                 ((const type *)(component)->vtable)->destroy)

static void try_component(const larder_component *component) {
    printf("%.*s: %.*s\n", (int)component->name.len, (const char *)component->name.ptr,
           (int)component->summary.len, (const char *)component->summary.ptr);
    if (component->config_schema) {
        larder_slice schema = { NULL, 0 };
        must(component->config_schema(&schema) == LARDER_OK && schema.len, "there is a schema");
    }
    switch (component->kind) {
    case LARDER_KIND_BACKEND: TRY(larder_backend_vt, component); break;
    case LARDER_KIND_CODEC: TRY(larder_codec_vt, component); break;
    case LARDER_KIND_INVALIDATOR: TRY(larder_invalidator_vt, component); break;
    case LARDER_KIND_POLICY: TRY(larder_policy_vt, component); break;
    case LARDER_KIND_REPLICATOR: TRY(larder_replicator_vt, component); break;
    case LARDER_KIND_WARMER: TRY(larder_warmer_vt, component); break;
    default: must(0, "its kind is known");
    }
}

int main(int argc, char **argv) {
    must(argc == 2, "the library is named: test ./LIBRARY");
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (!library) fprintf(stderr, "%s\n", dlerror());
    must(library != NULL, "the library can be loaded");
    const larder_stamp *stamp = dlsym(library, "larder_stamp_v1");
    must(stamp && strcmp((const char *)stamp->name, "acme-demo") == 0, "its stamp has its name");
    entry_fn *entry = NULL;
    *(void **)&entry = dlsym(library, "larder_entry_v1");
    must(entry != NULL, "it has an entry");
    const larder_plugin *plugin = NULL;
    larder_error error = { .struct_size = sizeof error };
    must(entry(NULL, &plugin, &error) == LARDER_OK && plugin, "it can be entered");
    for (size_t at = 0; at < plugin->n_components; at++) try_component(plugin->components[at]);
    return 0;
}
