/* A serializer for Larder in C: MessagePack behind the version of your types, so that entries of
 * another version are misses. Put what you came for in its place.
 *
 * Read it from the end: the descriptor names the component, its table names the functions. The
 * rules are those at the top of larder_plugin.h; "R4" below is one of them. */
#include "larder_plugin_easy.h"

/* How many bytes the version takes. */
#define FRONT 4

/* Nothing changes in it after create, so it needs no lock. */
typedef struct versioned {
    uint8_t version[FRONT];
} versioned;

static int32_t versioned_create(const larder_create *args, void **out, larder_error *error) {
    versioned *self = malloc(sizeof *self);
    if (!self) return larder_no_memory(error);
    uint32_t version = (uint32_t)larder_number(&args->config_json, "version", 1);
    for (int byte = 0; byte < FRONT; byte++) self->version[byte] = (uint8_t)(version >> (8 * byte));
    *out = self;
    return LARDER_OK;
}

static void versioned_destroy(void *instance) { free(instance); }

/* Gets a value as MessagePack. */
static int32_t versioned_encode(void *instance, const larder_codec_context *context,
                                const larder_slice *in, larder_output *out, larder_error *error) {
    const versioned *self = instance;
    (void)context;
    uint8_t *to = larder_room(out, FRONT + in->len);
    if (!to) return larder_no_memory(error);
    memcpy(to, self->version, FRONT);
    if (in->len) memcpy(to + FRONT, in->ptr, in->len);
    return LARDER_OK;
}

/* Gives it back. The bytes may be anything: what was not written here is an error. */
static int32_t versioned_decode(void *instance, const larder_codec_context *context,
                                const larder_slice *in, larder_output *out, larder_error *error) {
    const versioned *self = instance;
    (void)context;
    if (in->len <= FRONT || memcmp(in->ptr, self->version, FRONT) != 0)
        return larder_fail(error, LARDER_SERIALIZATION, "the bytes are of another version", NULL);
    uint8_t *to = larder_room(out, in->len - FRONT);
    if (!to) return larder_no_memory(error);
    memcpy(to, in->ptr + FRONT, in->len - FRONT);
    return LARDER_OK;
}

/* ---- what the library says about itself ------------------------------------------------------ */

static const larder_codec_vt serializer = {
    .struct_size = sizeof(larder_codec_vt),
    .model = LARDER_CODEC_SERIALIZER,
    .create = versioned_create,
    .destroy = versioned_destroy,
    .encode = versioned_encode,
    .decode = versioned_decode,
};

static int32_t schema(larder_slice *out) {
    *out = larder_text(
        "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
        "\"version\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 4294967295,"
        " \"default\": 1, \"description\": \"The version of your types.\"}}}");
    return LARDER_OK;
}

static const larder_component component = {
    .struct_size = sizeof(larder_component),
    .kind = LARDER_KIND_CODEC,
    .name = LARDER_STR("acme.demo"),
    .summary = LARDER_STR("MessagePack behind the version of your types, in C"),
    .vtable = &serializer,
    .config_schema = schema,
};

LARDER_DEFINE_PLUGIN("acme-demo", "0.1.0", &component);
