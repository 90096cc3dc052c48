package org.tfyolo.demo

import android.content.Context
import android.content.SharedPreferences
import org.tfyolo.detector.Delegate

/** The user's settings, stored in SharedPreferences. */
class Settings(context: Context) {
    private val stored: SharedPreferences = context.getSharedPreferences("settings", Context.MODE_PRIVATE)

    /** ID of a model in the library; null for the first one. */
    var model: String?
        get() = stored.getString("model", null)
        set(value) = stored.edit().putString("model", value).apply()

    /** Number of CPU threads; null selects the fastest. */
    var threads: Int?
        get() = stored.getInt("threads", 0).takeIf { it > 0 }
        set(value) = stored.edit().putInt("threads", value ?: 0).apply()

    var delegate: Delegate
        get() = Delegate.entries.firstOrNull { it.name == stored.getString("delegate", null) } ?: Delegate.AUTO
        set(value) = stored.edit().putString("delegate", value.name).apply()

    /** Confidence threshold, 0 to 1. */
    var confidence: Float
        get() = stored.getFloat("confidence", 0.4f)
        set(value) = stored.edit().putFloat("confidence", value).apply()

    /** IoU threshold, 0 to 1. */
    var iou: Float
        get() = stored.getFloat("iou", 0.45f)
        set(value) = stored.edit().putFloat("iou", value).apply()

    /** Names of the classes to detect; null for all. */
    var classNames: Set<String>?
        get() = stored.getStringSet("classNames", null)?.toSet()
        set(value) = stored.edit().putStringSet("classNames", value).apply()

    /** Draw the masks of models that segment objects. */
    var masks: Boolean
        get() = stored.getBoolean("masks", true)
        set(value) = stored.edit().putBoolean("masks", value).apply()

    var frontCamera: Boolean
        get() = stored.getBoolean("front", false)
        set(value) = stored.edit().putBoolean("front", value).apply()

    /** True if the camera permission has been requested before: only then does "no rationale" mean permanently denied. */
    var askedForCamera: Boolean
        get() = stored.getBoolean("asked", false)
        set(value) = stored.edit().putBoolean("asked", value).apply()
}
