package org.tfyolo.demo.models

import android.content.Context
import android.net.Uri
import android.provider.OpenableColumns
import java.io.File
import java.io.IOException
import org.tfyolo.demo.R

/** A file that cannot be imported; the message is for the person. */
class ImportException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** Copies a file that a person chose to where the app can keep it. Untrusted: nothing of its name or size is taken on faith. */
class ModelImport(private val context: Context, private val library: ModelLibrary, private val limit: Long = MOST_BYTES) {
    /**
     * The copy, not yet in the library: [accept] it once it has proved to be a model, or [discard] it.
     *
     * @throws ImportException it cannot be read, is too large, or there is no room for it.
     */
    fun copy(from: Uri): File {
        val folder = library.folder.apply { mkdirs() }
        folder.listFiles { file -> file.name.endsWith(PART) }.orEmpty().forEach { it.delete() }
        val part = File(folder, nameOf(from) + PART)
        val room = minOf(limit, folder.usableSpace - SPARE_BYTES)
        try {
            val input = context.contentResolver.openInputStream(from) ?: throw IOException()
            input.use { source ->
                part.outputStream().use { target ->
                    val buffer = ByteArray(1 shl 16)
                    var total = 0L
                    while (true) {
                        val count = source.read(buffer)
                        if (count < 0) break
                        total += count
                        if (total > room) throw ImportException(tooLarge(room))
                        target.write(buffer, 0, count)
                    }
                }
            }
            return part
        } catch (error: ImportException) {
            part.delete()
            throw error
        } catch (error: Exception) {
            // Another app's provider, which may throw what it likes.
            part.delete()
            throw ImportException(context.getString(R.string.import_unreadable), error)
        }
    }

    /** Into the library; a model of the same name gives way. A file that is open stays readable. */
    fun accept(part: File): Model.Imported {
        val file = File(part.parentFile, part.name.removeSuffix(PART))
        if (!part.renameTo(file)) throw ImportException(context.getString(R.string.import_unreadable))
        return Model.Imported(file)
    }

    fun discard(part: File) {
        part.delete()
    }

    private fun tooLarge(room: Long): String =
        if (room < limit) context.getString(R.string.import_no_room) else context.getString(R.string.import_too_large, limit shr 20)

    private fun nameOf(from: Uri): String {
        val shown = try {
            context.contentResolver.query(from, arrayOf(OpenableColumns.DISPLAY_NAME), null, null, null)?.use { row ->
                if (row.moveToFirst()) row.getString(0) else null
            }
        } catch (_: RuntimeException) {
            null
        }
        val name = (shown ?: from.lastPathSegment.orEmpty()).substringAfterLast('/').removeSuffix(ModelLibrary.SUFFIX)
        // No separators, no leading dot, nothing that a file system might refuse.
        return name.map { if (it.isLetterOrDigit() || it in "-_ ") it else '_' }.joinToString("").trim().take(60).ifEmpty { "model" } + ModelLibrary.SUFFIX
    }

    private companion object {
        const val PART = ".part"
        const val MOST_BYTES = 256L shl 20
        const val SPARE_BYTES = 16L shl 20
    }
}
