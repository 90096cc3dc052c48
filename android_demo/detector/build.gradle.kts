import org.jetbrains.kotlin.gradle.dsl.JvmTarget
import org.jetbrains.kotlin.gradle.tasks.KotlinCompile

plugins {
    alias(libs.plugins.android.library)
    alias(libs.plugins.kotlin.android)
}

android {
    namespace = "org.tfyolo.detector"
    compileSdk = libs.versions.targetSdk.get().toInt()
    defaultConfig {
        minSdk = libs.versions.minSdk.get().toInt()
        consumerProguardFiles("consumer-rules.pro")
    }
    compileOptions {
        sourceCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
        targetCompatibility = JavaVersion.toVersion(libs.versions.jvmTarget.get())
    }
    testOptions.unitTests.all {
        it.systemProperty("demo.models", rootDir.resolve("../build/demo-models").path)
        it.systemProperty("vectors", rootDir.resolve("../tests/vectors").path)
        // These tests load TensorFlow Lite's native library, which is only available on Android and in `make test-android`.
        it.exclude("**/ClassifierTest*", "**/DetectorTest*", "**/EngineSelectorTest*", "**/PreprocessorBench*", "**/SegmentationTest*")
    }
}

kotlin {
    explicitApi()
    compilerOptions.jvmTarget = JvmTarget.fromTarget(libs.versions.jvmTarget.get())
}

// Tests run on the JVM and use javax.imageio and com.sun.management, which android.jar does not contain.
tasks.withType<KotlinCompile>().configureEach {
    if (name.endsWith("UnitTestKotlin")) compilerOptions.noJdk = false
}

dependencies {
    api(libs.litert)
    implementation(libs.litert.gpu)
    implementation(libs.litert.gpu.api)
    testImplementation(libs.junit)
    testImplementation(libs.kotlin.test)
    testImplementation(libs.kotest.property)
    testImplementation(libs.coroutines)
    // android.jar contains only stubs of org.json.
    testImplementation(libs.json)
}
