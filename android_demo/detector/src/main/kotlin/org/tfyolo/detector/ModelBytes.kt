package org.tfyolo.detector

import android.content.Context
import android.content.res.AssetManager
import android.os.Build
import java.io.File
import java.io.FileInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import org.tfyolo.detector.ModelException.Problem

/** Size limit of a ByteBuffer, and of the FlatBuffers format. */
private const val MAX_BYTES = Int.MAX_VALUE.toLong()

/**
 * A model file, and where the fastest engine of its models is remembered.
 *
 * @property bytes content of the file.
 * @property device identifies the device and its system version.
 */
internal class ModelFile(val bytes: ByteBuffer, val store: KeyValueStore, val device: String) {
    companion object {
        /** @throws ModelException if the asset does not exist or cannot be read. */
        fun ofAsset(context: Context, name: String) = ModelFile(readAsset(context.assets, name), PreferencesStore(context), deviceName())

        /** @throws ModelException if the file does not exist, cannot be read, or is too large. */
        fun of(context: Context, file: File) = ModelFile(readFile(file), PreferencesStore(context), deviceName())

        /** Includes the system build, because a system update can change drivers and therefore the fastest engine. */
        private fun deviceName() = Build.FINGERPRINT ?: "unknown"
    }
}

/** Map an asset into memory. @throws ModelException if the asset does not exist or cannot be read. */
internal fun readAsset(assets: AssetManager, name: String): ByteBuffer =
    try {
        try {
            assets.openFd(name).use { file ->
                FileInputStream(file.fileDescriptor).use { map(it, file.startOffset, file.declaredLength) }
            }
        } catch (_: FileNotFoundException) {
            // The asset is compressed in the APK, so it must be decompressed into memory.
            val bytes = assets.open(name).use { it.readBytes() }
            directBuffer(bytes.size).put(bytes).also(::rewind)
        }
    } catch (error: IOException) {
        throw ModelException(Problem.UNREADABLE, "The app has no readable asset `$name`.", error)
    }

/** Map a file into memory. @throws ModelException if the file does not exist, cannot be read, or is too large. */
internal fun readFile(file: File): ByteBuffer =
    try {
        FileInputStream(file).use { map(it, 0, file.length()) }
    } catch (error: IOException) {
        throw ModelException(Problem.UNREADABLE, "${file.name} cannot be read (${error.message}). Choose another file.", error)
    }

/** Memory-mapped, so that the system loads pages on demand and can drop them when memory is low. */
private fun map(from: FileInputStream, start: Long, size: Long): ByteBuffer {
    if (size > MAX_BYTES) throw ModelException(Problem.TOO_LARGE, "The model has $size bytes; at most 2 GiB can be loaded.")
    return from.channel.map(FileChannel.MapMode.READ_ONLY, start, size)
}

/** Stores values in a SharedPreferences file of its own. */
internal class PreferencesStore(context: Context) : KeyValueStore {
    private val preferences = context.getSharedPreferences("org.tfyolo.detector", Context.MODE_PRIVATE)

    override fun get(key: String): String? = preferences.getString(key, null)

    // commit(), not apply(): the value must be on disk before the attempt that may crash the app.
    override fun put(key: String, value: String?) {
        preferences.edit().putString(key, value).commit()
    }
}
