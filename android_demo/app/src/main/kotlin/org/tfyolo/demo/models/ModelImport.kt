package org.tfyolo.demo.models

import android.content.Context
import android.net.Uri
import android.provider.OpenableColumns
import java.io.File
import java.io.IOException
import org.tfyolo.demo.R

/** Thrown if a file cannot be imported; the message is shown to the user. */
class ImportException(message: String, cause: Throwable? = null) : Exception(message, cause)

/** Copies a file that the user chose into the app's storage. Untrusted: neither its name nor its size is relied on. */
class ModelImport(private val context: Context, private val library: ModelLibrary, private val limit: Long = MAX_BYTES) {
    /**
     * Copy the file without adding it to the library: call [accept] if it is a model, otherwise [discard].
     *
     * @throws ImportException if the file cannot be read, is too large, or there is not enough space.
     */
    fun copy(from: Uri): File {
        val folder = library.folder.apply { mkdirs() }
        folder.listFiles { file -> file.name.endsWith(PART) }.orEmpty().forEach { it.delete() }
        val part = File(folder, nameOf(from) + PART)
        val limitBytes = minOf(limit, folder.usableSpace - RESERVED_BYTES)
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
                        if (total > limitBytes) throw ImportException(tooLarge(limitBytes))
                        target.write(buffer, 0, count)
                    }
                }
            }
            return part
        } catch (error: ImportException) {
            part.delete()
            throw error
        } catch (error: Exception) {
            // The content provider of another app may throw any exception.
            part.delete()
            throw ImportException(context.getString(R.string.import_unreadable), error)
        }
    }

    /** Add the copy to the library, replacing a model of the same name; a file that is memory-mapped stays readable. */
    fun accept(part: File): Model.Imported {
        val file = File(part.parentFile, part.name.removeSuffix(PART))
        if (!part.renameTo(file)) throw ImportException(context.getString(R.string.import_unreadable))
        return Model.Imported(file)
    }

    fun discard(part: File) {
        part.delete()
    }

    private fun tooLarge(limitBytes: Long): String =
        if (limitBytes < limit) context.getString(R.string.import_no_room) else context.getString(R.string.import_too_large, limit shr 20)

    private fun nameOf(from: Uri): String {
        val displayName = try {
            context.contentResolver.query(from, arrayOf(OpenableColumns.DISPLAY_NAME), null, null, null)?.use { row ->
                if (row.moveToFirst()) row.getString(0) else null
            }
        } catch (_: RuntimeException) {
            null
        }
        val name = (displayName ?: from.lastPathSegment.orEmpty()).substringAfterLast('/').removeSuffix(ModelLibrary.SUFFIX)
        // Only characters that every file system accepts: no separators and no leading dot.
        return name.map { if (it.isLetterOrDigit() || it in "-_ ") it else '_' }.joinToString("").trim().take(60).ifEmpty { "model" } + ModelLibrary.SUFFIX
    }

    private companion object {
        const val PART = ".part"
        const val MAX_BYTES = 256L shl 20
        const val RESERVED_BYTES = 16L shl 20
    }
}
