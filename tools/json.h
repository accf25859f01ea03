/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON objects a member at a time.
 */
#ifndef PULSAR_JSON_H
#define PULSAR_JSON_H

#include <glib.h>
#include <json-c/json.h>

/** json_number: the number or truth value at @key; 0 when there is none. */
static inline gint64 json_number(json_object *o, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(o, key, &value) ?
           json_object_get_int64(value) : 0;
}

/** json_text: the string at @key until @o changes; NULL when there is none. */
static inline const char *json_text(json_object *o, const char *key)
{
    json_object *value;

    return json_object_object_get_ex(o, key, &value) ?
           json_object_get_string(value) : NULL;
}

/** json_add_number: give @o a number. */
static inline void json_add_number(json_object *o, const char *key,
                                   gint64 value)
{
    json_object_object_add(o, key, json_object_new_int64(value));
}

/** json_add_text: give @o a string; nothing for NULL. */
static inline void json_add_text(json_object *o, const char *key,
                                 const char *value)
{
    if (value) {
        json_object_object_add(o, key, json_object_new_string(value));
    }
}

#endif /* PULSAR_JSON_H */
