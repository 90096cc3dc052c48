package org.tfyolo.demo.images

import android.content.ContentProvider
import android.content.ContentValues
import android.content.Context
import android.content.Intent
import android.database.Cursor
import android.database.MatrixCursor
import android.graphics.Bitmap
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.OpenableColumns
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException

/** Content provider that gives other apps read access to the shared image: one folder of the cache. */
class SharedImages : ContentProvider() {
    override fun onCreate(): Boolean = true

    override fun getType(uri: Uri): String = TYPE

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        if (mode != "r") throw FileNotFoundException("$uri is read-only")
        return ParcelFileDescriptor.open(fileOf(uri), ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun query(uri: Uri, columns: Array<out String>?, selection: String?, values: Array<out String>?, order: String?): Cursor {
        val file = fileOf(uri)
        val all = mapOf<String, Any>(OpenableColumns.DISPLAY_NAME to file.name, OpenableColumns.SIZE to file.length())
        val names = (columns ?: all.keys.toTypedArray()).filter { it in all }
        return MatrixCursor(names.toTypedArray(), 1).apply { addRow(names.map(all::getValue)) }
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, selection: String?, arguments: Array<out String>?): Int = 0

    override fun delete(uri: Uri, selection: String?, arguments: Array<out String>?): Int = 0

    /** The shared file of a URI. Only exact file names in the folder match, so paths cannot lead elsewhere. */
    private fun fileOf(uri: Uri): File {
        val name = uri.pathSegments.singleOrNull()
        val file = folder(context!!).listFiles().orEmpty().firstOrNull { it.name == name }
        return file ?: throw FileNotFoundException("$uri is not shared")
    }

    companion object {
        private const val AUTHORITY = "org.tfyolo.demo.images"
        private const val TYPE = "image/jpeg"

        private fun folder(context: Context) = File(context.cacheDir, "shared")

        /** Create an intent that shares the image, and delete the previous one. @return null if there is no space for the file. */
        fun send(context: Context, image: Bitmap): Intent? {
            val folder = folder(context).apply { mkdirs() }
            folder.listFiles().orEmpty().forEach { it.delete() }
            val file = File(folder, "detections-${System.currentTimeMillis()}.jpg")
            val written = try {
                file.outputStream().use { image.compress(Bitmap.CompressFormat.JPEG, 92, it) }
            } catch (_: IOException) {
                false
            }
            if (!written) return null
            val uri = Uri.Builder().scheme("content").authority(AUTHORITY).appendPath(file.name).build()
            return Intent(Intent.ACTION_SEND).setType(TYPE).putExtra(Intent.EXTRA_STREAM, uri).addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
                .apply { clipData = android.content.ClipData.newRawUri(null, uri) }
        }
    }
}
