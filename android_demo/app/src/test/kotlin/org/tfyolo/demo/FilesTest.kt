package org.tfyolo.demo

import android.content.Intent
import android.graphics.Bitmap
import android.net.Uri
import android.provider.OpenableColumns
import java.io.ByteArrayInputStream
import java.io.FileNotFoundException
import java.io.IOException
import java.io.InputStream
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertNotNull
import kotlin.test.assertTrue
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.GraphicsMode
import org.tfyolo.demo.models.ImportException
import org.tfyolo.demo.models.ModelImport
import org.tfyolo.demo.models.ModelLibrary
import org.tfyolo.demo.images.ImageLoader
import org.tfyolo.demo.images.SharedImages

/** Importing models, decoding images, and sharing an image. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
class FilesTest {
    private val library = ModelLibrary(app)

    private fun uri(name: String, make: () -> InputStream): Uri =
        Uri.Builder().scheme("content").authority("somewhere").appendPath(name).build().also { shadowOf(app.contentResolver).registerInputStreamSupplier(it, make) }

    @Test
    fun `a file that is too large is not copied`() {
        val import = ModelImport(app, library, limit = 1 shl 20)
        val error = assertFailsWith<ImportException> { import.copy(uri("big.tflite") { ByteArrayInputStream(ByteArray((1 shl 20) + 1)) }) }
        assertEquals("The file is larger than 1 MB.", error.message)
        assertEquals(0, library.folder.list()!!.size)
        assertEquals((1 shl 20).toLong(), import.copy(uri("right.tflite") { ByteArrayInputStream(ByteArray(1 shl 20)) }).length())
    }

    @Test
    fun `an interrupted copy is deleted`() {
        val broken = object : InputStream() {
            var remaining = 100_000

            override fun read(): Int = if (remaining-- > 0) 1 else throw IOException("gone")
        }
        val error = assertFailsWith<ImportException> { ModelImport(app, library).copy(uri("broken.tflite") { broken }) }
        assertEquals("The file cannot be read.", error.message)
        assertEquals(0, library.folder.list()!!.size)
        assertFailsWith<ImportException> { ModelImport(app, library).copy(uri("forbidden") { throw SecurityException() }) }
    }

    @Test
    fun `file names are sanitized, and a copy is not a model until it is accepted`() {
        val import = ModelImport(app, library)
        for ((name, expected) in mapOf("../../shared_prefs/x.tflite" to "x.tflite", "..tflite" to "_.tflite", "a:b?.tflite" to "a_b_.tflite", "" to "somewhere.tflite")) {
            val part = import.copy(uri(name) { ByteArrayInputStream(ByteArray(8)) })
            assertEquals(library.folder, part.parentFile)
            assertTrue(library.all().none { it.id.startsWith("file:") }, name)
            val model = import.accept(part)
            if (name.isNotEmpty()) assertEquals(expected, model.file.name)
            library.remove(model)
            assertEquals(0, library.folder.list()!!.size)
        }
    }

    @Test
    fun `large images are downsampled`() {
        assertEquals(1, ImageLoader.sampling(640, 480))
        assertEquals(2, ImageLoader.sampling(4000, 3000))
        assertEquals(64, ImageLoader.sampling(65_535, 65_535))
    }

    @Test
    fun `only the shared image is readable, and nothing is writable`() {
        val send = assertNotNull(SharedImages.send(app, Bitmap.createBitmap(8, 8, Bitmap.Config.ARGB_8888)))
        @Suppress("DEPRECATION")
        val uri: Uri = assertNotNull(send.getParcelableExtra(Intent.EXTRA_STREAM))
        val provider = Robolectric.setupContentProvider(SharedImages::class.java)
        assertTrue(provider.openFile(uri, "r").use { it.statSize } > 0)
        provider.query(uri, null, null, null, null).use { row ->
            assertTrue(row.moveToFirst())
            assertEquals(uri.lastPathSegment, row.getString(row.getColumnIndexOrThrow(OpenableColumns.DISPLAY_NAME)))
        }
        assertFailsWith<FileNotFoundException> { provider.openFile(uri, "rw") }
        for (path in listOf("", "..", "../shared", "../../files/models", "%2e%2e", "other.jpg", "a/${uri.lastPathSegment}")) {
            val wrong = uri.buildUpon().path(path).build()
            assertFailsWith<FileNotFoundException>(path) { provider.openFile(wrong, "r") }
        }
        SharedImages.send(app, Bitmap.createBitmap(8, 8, Bitmap.Config.ARGB_8888))
    }
}
