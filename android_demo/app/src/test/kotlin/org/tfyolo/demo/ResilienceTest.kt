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
import android.widget.SeekBar
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
import org.tfyolo.demo.camera.CameraInfo
import org.tfyolo.demo.camera.CameraPermission
import org.tfyolo.demo.camera.CameraProblem
import org.tfyolo.demo.camera.CameraSource
import org.tfyolo.demo.models.ImportException
import org.tfyolo.demo.models.ModelImport
import org.tfyolo.demo.models.ModelLibrary
import org.tfyolo.demo.images.ImageLoader
import org.tfyolo.demo.images.ImageSource
import org.tfyolo.demo.images.SharedImages

/** Failures that must neither crash the app nor leave it unusable. */
@RunWith(RobolectricTestRunner::class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(qualifiers = "w411dp-h891dp-port-xhdpi")
class ResilienceTest {
    @BeforeTest
    fun engine() = useSingleThread()

    @Test
    fun `the class filter is kept when the activity is recreated and when the app restarts`() {
        start().use { controller ->
            val all = controller.get().awaitDetections()
            controller.get().findViewById<Button>(R.id.classes).performClick()
            val dialog = assertNotNull(ShadowAlertDialog.getLatestAlertDialog())
            await("the list") { dialog.listView.childCount == 3 }
            listOf(0, 1).forEach { dialog.listView.performItemClick(dialog.listView.getChildAt(it), it, it.toLong()) }
            dialog.getButton(android.content.DialogInterface.BUTTON_POSITIVE).performClick()
            assertEquals(listOf("WBC"), controller.get().awaitDetections(all).map { it.label })
            controller.recreate()
            assertEquals(listOf("WBC"), controller.get().awaitDetections().map { it.label })
        }
        start().use { assertEquals(listOf("WBC"), it.get().awaitDetections().map { one -> one.label }) }
        // The model has no class of this name: the filter is ignored, otherwise nothing would be detected.
        Settings(app).classNames = setOf("cat")
        start().use { assertTrue(it.get().awaitDetections().size > 5) }
    }

    @Test
    fun `an interrupted permission dialog does not count as denied`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        activity.onRequestPermissionsResult(CameraPermission.REQUEST, emptyArray(), IntArray(0))
        assertEquals(CameraPermission.State.NOT_ASKED, CameraPermission(activity, Settings(app)).state)
    }

    @Test
    fun `a damaged stored model is replaced by the bundled one`() {
        val folder = ModelLibrary(app).folder.apply { mkdirs() }
        File(folder, "bad.tflite").writeBytes(ByteArray(64))
        Settings(app).model = "file:bad.tflite"
        start().use { controller ->
            val activity = controller.get()
            assertTrue(activity.awaitDetections().isNotEmpty())
            assertEquals("Blood cells, int8", activity.findViewById<Spinner>(R.id.model).selectedItem)
        }
    }

    @Test
    fun `a model that cannot be added to the library is deleted, and the current one stays`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        val before = assertNotNull(activity.host.loaded)
        val folder = ModelLibrary(app).folder
        // A folder in place of the file, so that the copy cannot be renamed.
        assertTrue(File(folder, "segmenter.tflite/inside").mkdirs())
        activity.models.onImportChosen()
        activity.answer(activity.started(), register("segmenter.tflite", demoModel("segmenter.tflite").readBytes()))
        await("the message") { ShadowAlertDialog.getLatestAlertDialog() != null }
        assertEquals(listOf("segmenter.tflite"), folder.list()!!.toList())
        assertEquals(before, activity.host.loaded)
    }

    @Test
    fun `the sliders show the stored thresholds`() {
        // In float32, 0.53 and 0.59 are a little less than 53 and 59 hundredths.
        for (percent in listOf(40, 53, 59)) {
            Settings(app).confidence = percent / 100f
            start().use { assertEquals(percent, it.get().findViewById<SeekBar>(R.id.confidence).progress) }
        }
    }

    @Test
    fun `a camera released by another app is reopened, but a failing one is not`() {
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
            override fun onCameraOpen(facts: CameraInfo) = Unit

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
        assertTrue(source.running, "reopened after the other app has released it")
        source.fail()
        free()
        assertFalse(source.running)
        assertEquals(listOf(CameraProblem.IN_USE, CameraProblem.FAILED), problems)
        source.stop()
    }

    /** Simulate a camera failure, which Robolectric does not support. */
    private fun CameraSource.fail() {
        val opening = javaClass.getDeclaredField("opening").apply { isAccessible = true }.get(this)
        javaClass.declaredMethods.single { it.name == "onLost" }.apply { isAccessible = true }.invoke(this, opening, CameraProblem.FAILED)
    }

    @Test
    fun `exceptions of other apps' content providers are handled`() {
        val uri = Uri.parse("content://somewhere/odd")
        shadowOf(app.contentResolver).registerInputStreamSupplier(uri) { throw IllegalStateException("odd") }
        assertNull(ImageLoader.load(app, ImageSource.Gallery(uri)))
        assertFailsWith<ImportException> { ModelImport(app, ModelLibrary(app)).copy(uri) }
    }

    @Test
    fun `nothing is shared if there is no space for the file`() {
        val folder = File(app.cacheDir, "shared").apply { deleteRecursively() }
        // A file in place of the folder, so that nothing can be written.
        folder.writeBytes(ByteArray(1))
        assertNull(SharedImages.send(app, Bitmap.createBitmap(8, 8, Bitmap.Config.ARGB_8888)))
        folder.delete()
    }

    @Test
    fun `content descriptions of lists contain the selected value`() = start().use { controller ->
        val activity = controller.get()
        activity.awaitDetections()
        assertEquals("Model: Blood cells, int8", activity.findViewById<Spinner>(R.id.model).contentDescription)
        assertEquals("Threads: 1", activity.findViewById<Spinner>(R.id.threads).contentDescription)
    }

    @Test
    fun `the app can be installed on devices without a camera or with only a front camera`() {
        val features = app.packageManager.getPackageInfo(app.packageName, PackageManager.GET_CONFIGURATIONS).reqFeatures.orEmpty()
        val required = features.filter { it.flags and android.content.pm.FeatureInfo.FLAG_REQUIRED != 0 }.map { it.name }
        assertTrue(required.none { it.orEmpty().startsWith("android.hardware.camera") }, "$required")
    }
}
