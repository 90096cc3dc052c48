package org.tfyolo.detector

import android.content.Context
import android.content.res.AssetManager
import java.io.File
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import org.tfyolo.detector.ModelException.Problem

/** More than TensorFlow Lite's own format can hold in one piece. */
private const val MOST_BYTES = Int.MAX_VALUE.toLong()

/** @throws ModelException it is not there, or cannot be read. */
internal fun readAsset(assets: AssetManager, name: String): ByteBuffer =
    try {
        try {
            assets.openFd(name).use { file ->
                FileInputStream(file.fileDescriptor).use { map(it, file.startOffset, file.declaredLength) }
            }
        } catch (_: FileNotFoundException) {
            // Compressed in the APK: it has to be unpacked into memory.
            val bytes = assets.open(name).use { it.readBytes() }
            directBuffer(bytes.size).put(bytes).also(::rewind)
        }
    } catch (error: IOException) {
        throw ModelException(Problem.UNREADABLE, "The app's assets have no model `$name` that can be read.", error)
    }

/** @throws ModelException it is not there, cannot be read, or is too large. */
internal fun readFile(file: File): ByteBuffer =
    try {
        FileInputStream(file).use { map(it, 0, file.length()) }
    } catch (error: IOException) {
        throw ModelException(Problem.UNREADABLE, "${file.name} cannot be read (${error.message}). Choose another file.", error)
    }

/** Pages of the file are read as they are needed, and can be dropped again. */
private fun map(from: FileInputStream, start: Long, size: Long): ByteBuffer {
    if (size > MOST_BYTES) throw ModelException(Problem.TOO_LARGE, "The model has $size bytes, and no more than 2 GiB can be loaded.")
    return from.channel.map(FileChannel.MapMode.READ_ONLY, start, size)
}

/** In a file of preferences that no one else uses. */
internal class PreferencesMemory(context: Context) : Memory {
    private val preferences = context.getSharedPreferences("org.tfyolo.detector", Context.MODE_PRIVATE)

    override fun get(key: String): String? = preferences.getString(key, null)

    // Not in the background: an attempt must be on disk before it may end the app.
    override fun put(key: String, value: String?) {
        preferences.edit().putString(key, value).commit()
    }
}
