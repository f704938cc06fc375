//! The header with what plugins in C have in common, in both languages.

use crate::compile::{LANGUAGES, run};

const SOURCE: &str = r#"
#include "larder_plugin_easy.h"
#include <stdio.h>

static const larder_component nothing = { sizeof nothing, 77, 0, LARDER_STR("a.b"),
    LARDER_STR("nothing"), NULL, NULL, NULL };

LARDER_DEFINE_PLUGIN("acme.easy", "1.2.3", &nothing, &nothing);

static void show(const char *options, const char *name) {
    larder_slice json = larder_text(options);
    char *text = larder_string(&json, name, "none");
    printf("%s: %u %s\n", name, (unsigned)larder_number(&json, name, 7), text);
    free(text);
}

int main(void) {
    uint8_t scratch[4];
    larder_output out;
    larder_error error;
    const larder_plugin *plugin = NULL;
    larder_slice word = larder_text("word"), empty = larder_text("");
    memset(&error, 0, sizeof error);
    printf("%d %d %d\n", larder_is(&word, "word"), larder_is(&word, "wor"), larder_is(&empty, ""));
    printf("%d\n", larder_fail(&error, LARDER_KEY, "no key", "write one"));
    printf("%d %.*s, %.*s\n", error.code, (int)error.message.len, (const char *)error.message.ptr,
           (int)error.hint.len, (const char *)error.hint.ptr);
    printf("%d\n", larder_fail(NULL, LARDER_KEY, "no key", NULL));
    show("{\"size\":42,\"path\":\"a\\\\b \\\"c\\\"\"}", "size");
    show("{\"size\": 42, \"path\": \"a\\\\b \\\"c\\\"\"}", "path");
    show("{\"other\":\"size\"}", "size");
    show("{\"oversize\":1}", "size");
    show("{}", "size");
    show("", "size");
    memset(&out, 0, sizeof out);
    out.scratch = scratch;
    out.scratch_cap = sizeof scratch;
    printf("%d ", larder_room(&out, 4) == scratch);
    printf("%d\n", out.bytes.vt == NULL);
    printf("%d ", larder_room(&out, 5) != scratch);
    printf("%d\n", out.bytes.len == 5);
    out.bytes.vt->release(out.bytes.owner);
    out.scratch = NULL;
    out.scratch_cap = 0;
    printf("%d\n", larder_room(&out, 0) != NULL);
    out.bytes.vt->release(out.bytes.owner);
    printf("%d ", larder_entry_v1(NULL, &plugin, NULL));
    printf("%u %s\n", (unsigned)plugin->n_components, (const char *)larder_stamp_v1.name);
    return 0;
}
"#;

const SAID: &str = r#"1 0 1
-6
-6 no key, write one
-6
size: 42 none
path: 0 a\b "c"
size: 7 none
size: 7 none
size: 7 none
size: 7 none
1 1
1 1
1
0 2 acme.easy
"#;

#[test]
fn what_plugins_have_in_common_does_what_it_says_in_c_and_in_cpp() {
    for language in LANGUAGES {
        assert_eq!(run(language, &["-Wconversion"], SOURCE), SAID, "{language:?}");
    }
}
