package org.tfyolo.demo

import android.content.Context
import android.content.SharedPreferences
import org.tfyolo.detector.Delegate

/** What a person chose, kept from start to start. */
class Settings(context: Context) {
    private val stored: SharedPreferences = context.getSharedPreferences("settings", Context.MODE_PRIVATE)

    /** Id of a model of the library; null for the first. */
    var model: String?
        get() = stored.getString("model", null)
        set(value) = stored.edit().putString("model", value).apply()

    /** Null for the quickest. */
    var threads: Int?
        get() = stored.getInt("threads", 0).takeIf { it > 0 }
        set(value) = stored.edit().putInt("threads", value ?: 0).apply()

    var delegate: Delegate
        get() = Delegate.entries.firstOrNull { it.name == stored.getString("delegate", null) } ?: Delegate.AUTO
        set(value) = stored.edit().putString("delegate", value.name).apply()

    var score: Float
        get() = stored.getFloat("score", 0.4f)
        set(value) = stored.edit().putFloat("score", value).apply()

    var iou: Float
        get() = stored.getFloat("iou", 0.45f)
        set(value) = stored.edit().putFloat("iou", value).apply()

    /** Names of the classes that are looked for; null for all. */
    var classes: Set<String>?
        get() = stored.getStringSet("classes", null)?.toSet()
        set(value) = stored.edit().putStringSet("classes", value).apply()

    var frontCamera: Boolean
        get() = stored.getBoolean("front", false)
        set(value) = stored.edit().putBoolean("front", value).apply()

    /** Asked for the camera at least once: only then does a refusal without a rationale mean "for good". */
    var askedForCamera: Boolean
        get() = stored.getBoolean("asked", false)
        set(value) = stored.edit().putBoolean("asked", value).apply()
}
