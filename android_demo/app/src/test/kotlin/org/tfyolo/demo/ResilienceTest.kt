package org.tfyolo.demo

import android.content.pm.PackageManager
import android.graphics.Bitmap
import android.graphics.SurfaceTexture
import android.hardware.camera2.CameraCharacteristics
import android.hardware.camera2.CameraManager
import android.media.Image
import android.net.Uri
import android.os.Handler
import android.os.Looper
import android.util.Size
import android.widget.Button
import android.widget.Spinner
import java.io.File
import kotlin.test.BeforeTest
import kotlin.test.Test
import kotlin.test.assertEquals
import kotlin.test.assertFailsWith
import kotlin.test.assertFalse
import kotlin.test.assertNotNull
import kotlin.test.assertNull
import kotlin.test.assertTrue
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.annotation.GraphicsMode
import org.robolectric.shadows.ShadowAlertDialog
import org.robolectric.shadows.ShadowCameraCharacteristics
import org.robolectric.shadows.StreamConfigurationMapBuilder
import org.tfyolo.demo.camera.CameraFacts
import org.tfyolo.demo.camera.CameraPermission
import org.tfyolo.demo.camera.CameraProblem
import org.tfyolo.demo.camera.CameraSource
import org.tfyolo.demo.models.ImportException
import org.tfyolo.demo.models.ModelImport
import org.tfyolo.demo.models.ModelLibrary
import org.tfyolo.demo.images.ImageLoader
import org.tfyolo.demo.images.ImageSource
import org.tfyolo.demo.images.SharedImages

/** What goes wrong, and must not end the app or leave it stuck. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(qualifiers = "w411dp-h891dp-port-xhdpi")
class ResilienceTest {
    @BeforeTest
    fun engine() = plainEngine()

    @Test
    fun `a filter of classes is kept when the activity is made anew, and from start to start`() {
        start().use { controller ->
            val all = controller.get().awaitFound()
            controller.get().findViewById<Button>(R.id.classes).performClick()
            val dialog = assertNotNull(ShadowAlertDialog.getLatestAlertDialog())
            await("the list") { dialog.listView.childCount == 3 }
            listOf(0, 1).forEach { dialog.listView.performItemClick(dialog.listView.getChildAt(it), it, it.toLong()) }
            dialog.getButton(android.content.DialogInterface.BUTTON_POSITIVE).performClick()
            assertEquals(listOf("WBC"), controller.get().awaitFound(all).map { it.label })
            controller.recreate()
            assertEquals(listOf("WBC"), controller.get().awaitFound().map { it.label })
        }
        start().use { assertEquals(listOf("WBC"), it.get().awaitFound().map { one -> one.label }) }
        // No class of that name in another model: it must not look as if it found nothing.
        Settings(app).classes = setOf("cat")
        start().use { assertTrue(it.get().awaitFound().size > 5) }
    }

    @Test
    fun `a question that was interrupted is no refusal`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitFound()
        activity.onRequestPermissionsResult(CameraPermission.REQUEST, emptyArray(), IntArray(0))
        assertEquals(CameraPermission.State.NOT_ASKED, CameraPermission(activity, Settings(app)).state)
    }

    @Test
    fun `a stored model that went bad makes way for the app's own`() {
        val folder = ModelLibrary(app).folder.apply { mkdirs() }
        File(folder, "bad.tflite").writeBytes(ByteArray(64))
        Settings(app).model = "file:bad.tflite"
        start().use { controller ->
            val activity = controller.get()
            assertTrue(activity.awaitFound().isNotEmpty())
            assertEquals("Blood cells, int8", activity.findViewById<Spinner>(R.id.model).selectedItem)
        }
    }

    @Test
    fun `a camera comes back from another app by itself, but one that fails is not opened again and again`() {
        grantCamera()
        val manager = app.getSystemService(CameraManager::class.java)
        val about = ShadowCameraCharacteristics.newCameraCharacteristics()
        shadowOf(about).set(CameraCharacteristics.LENS_FACING, CameraCharacteristics.LENS_FACING_BACK)
        shadowOf(about).set(
            CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP,
            StreamConfigurationMapBuilder.newBuilder().addOutputSize(Size(640, 480)).addOutputSize(android.graphics.ImageFormat.YUV_420_888, Size(640, 480)).build(),
        )
        shadowOf(manager).addCamera("0", about)
        val problems = ArrayList<CameraProblem>()
        val source = CameraSource(app, Handler(Looper.getMainLooper()), object : CameraSource.Listener {
            override fun onCameraOpen(facts: CameraFacts) = Unit

            override fun onFrame(image: Image) = image.close()

            override fun onCameraProblem(problem: CameraProblem) {
                problems += problem
            }
        })

        fun free() {
            shadowOf(manager).removeCamera("0")
            shadowOf(manager).addCamera("0", about)
            shadowOf(Looper.getMainLooper()).idle()
        }
        source.start(SurfaceTexture(0), front = false)
        shadowOf(Looper.getMainLooper()).idle()
        shadowOf(manager).triggerDisconnect()
        shadowOf(Looper.getMainLooper()).idle()
        assertFalse(source.running)
        free()
        assertTrue(source.running, "given back by the other app, it goes on by itself")
        source.fail()
        free()
        assertFalse(source.running)
        assertEquals(listOf(CameraProblem.IN_USE, CameraProblem.FAILED), problems)
        source.stop()
    }

    /** Robolectric's cameras cannot. */
    private fun CameraSource.fail() {
        val opening = javaClass.getDeclaredField("opening").apply { isAccessible = true }.get(this)
        javaClass.declaredMethods.single { it.name == "lose" }.apply { isAccessible = true }.invoke(this, opening, CameraProblem.FAILED)
    }

    @Test
    fun `other apps' providers may throw what they like`() {
        val uri = Uri.parse("content://somewhere/odd")
        shadowOf(app.contentResolver).registerInputStreamSupplier(uri) { throw IllegalStateException("odd") }
        assertNull(ImageLoader.load(app, ImageSource.Gallery(uri)))
        assertFailsWith<ImportException> { ModelImport(app, ModelLibrary(app)).copy(uri) }
    }

    @Test
    fun `without room, nothing is shared`() {
        val folder = File(app.cacheDir, "shared").apply { deleteRecursively() }
        // A file where the folder should be: nothing can be written.
        folder.writeBytes(ByteArray(1))
        assertNull(SharedImages.send(app, Bitmap.createBitmap(8, 8, Bitmap.Config.ARGB_8888)))
        folder.delete()
    }

    @Test
    fun `chosen values are in the descriptions of lists`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitFound()
        assertEquals("Model: Blood cells, int8", activity.findViewById<Spinner>(R.id.model).contentDescription)
        assertEquals("Threads: 1", activity.findViewById<Spinner>(R.id.threads).contentDescription)
    }

    @Test
    fun `a device without a camera, or with one in front only, can install it`() {
        val features = app.packageManager.getPackageInfo(app.packageName, PackageManager.GET_CONFIGURATIONS).reqFeatures.orEmpty()
        val required = features.filter { it.flags and android.content.pm.FeatureInfo.FLAG_REQUIRED != 0 }.map { it.name }
        assertTrue(required.none { it.orEmpty().startsWith("android.hardware.camera") }, "$required")
    }
}
