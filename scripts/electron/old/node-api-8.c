/* Two functions of Node-API 8 for an Electron that ends at 5. Preloaded in tests only, so that the very addon that is published runs there. A
 * tag tells objects of one native class from those of another; with one class there is nothing to tell. */

#include <stdbool.h>

int napi_type_tag_object(void *env, void *object, const void *tag) {
    (void) env, (void) object, (void) tag;
    return 0;
}

int napi_check_object_type_tag(void *env, void *object, const void *tag, bool *result) {
    (void) env, (void) object, (void) tag;
    *result = true;
    return 0;
}
